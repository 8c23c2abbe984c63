/* UTF-8 (RFC 3629): validation, and streams in which no character is ever cut. */
#ifndef BISE_SRC_BASE_UTF8_H
#define BISE_SRC_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length 1..4 of the well-formed character at s (n > 0 bytes are there); 0 if there is none. */
size_t utf8_char_len(const char *s, size_t n);
/* Offset of the first byte that is not part of a well-formed character; n if all are. */
size_t utf8_invalid_at(const char *s, size_t n);
/* The code point of the well-formed character of len bytes at s. */
uint32_t utf8_code_point(const char *s, size_t len);
/* Writes the UTF-8 of a code point (at most 0x10ffff, no surrogate) to out [4]; returns its length.
 */
size_t utf8_put(uint32_t code, char *out);

/* Bytes come in any portions and leave as whole characters; what can never become one leaves as
 * U+FFFD, one for each maximal part (Unicode, section 3.9). Starts zeroed. */
struct utf8_stream {
    char tail[4];
    size_t n_tail; /* bytes of a character that is not complete yet */
};

#define UTF8_STREAM_ROOM(n) (3 * ((size_t)(n) + 4))

/* Takes n bytes; writes what is complete to out [UTF8_STREAM_ROOM(n)] and returns its length. */
size_t utf8_stream_put(struct utf8_stream *u, const char *bytes, size_t n, char *out);
/* Ends the stream: an incomplete character leaves as U+FFFD. out [UTF8_STREAM_ROOM(0)]. */
size_t utf8_stream_end(struct utf8_stream *u, char *out);

/* Code points first to last. */
struct code_range {
    uint32_t first, last;
};

/* Whether the code point is in one of the ranges [n], which ascend and lie apart. */
bool code_in(uint32_t code, const struct code_range *ranges, size_t n);

#endif
