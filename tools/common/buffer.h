/* Bytes that grow. */
#ifndef BISE_TOOLS_COMMON_BUFFER_H
#define BISE_TOOLS_COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Starts zeroed. NUL-terminated once anything was put into it. */
struct buffer {
    char *bytes; /* [len] */
    size_t len, cap;
    bool failed; /* there was no memory: what was to be put in is missing */
};

/* Room for n more bytes; false without memory. */
bool buffer_reserve(struct buffer *b, size_t n);
void buffer_put(struct buffer *b, const char *bytes, size_t n);
/* NUL-terminated text. */
void buffer_text(struct buffer *b, const char *text);
__attribute__((format(printf, 2, 3))) void buffer_print(struct buffer *b, const char *format, ...);
/* n bytes of text as a JSON string, as json_escape writes it. */
void buffer_json(struct buffer *b, const char *text, size_t n);
/* Empties it and keeps its memory. */
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);

#endif
