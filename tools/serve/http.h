/*
 * HTTP/1.1 as RFC 9112 has it, read strictly: whatever two programs could understand in two ways is
 * refused. No obs-fold, no bare CR or LF, one Host, one Content-Length and never beside
 * Transfer-Encoding, which is chunked and nothing else; no chunk extensions, no trailers.
 */
#ifndef BISE_TOOLS_SERVE_HTTP_H
#define BISE_TOOLS_SERVE_HTTP_H

#include "tools/common/buffer.h"

#include <stdint.h>

#define HTTP_MAX_HEAD   16384u
#define HTTP_MAX_FIELDS 100u

/* A piece of the head's bytes; NULL: the field was not there. */
struct http_text {
    const char *at;
    size_t len;
};

struct http_head {
    struct http_text method, path; /* path without its query */
    struct http_text host, origin, authorization, content_type;
    bool has_query;
    bool keep_alive;
    bool is_1_1;
    bool expects_continue;
    bool chunked, has_length;
    uint64_t length; /* of the body; 0 without one */
};

enum http_result {
    HTTP_MORE,    /* bytes are missing */
    HTTP_DONE,    /* whole */
    HTTP_BAD,     /* not HTTP as it is accepted here: *why says it */
    HTTP_TOO_LONG /* a head of more than HTTP_MAX_HEAD bytes, or too many fields */
};

/* Reads the head at bytes [n]; *taken is its length where it is whole. The texts point into bytes.
 * *why is a constant, set where the result is HTTP_BAD or HTTP_TOO_LONG. */
enum http_result http_read_head(struct http_head *h, const char *bytes, size_t n, size_t *taken,
                                const char **why);

/* A body on its way in. Starts with http_body_begin. */
struct http_body {
    bool chunked;
    uint64_t left; /* of the body, or of the chunk */
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_LAST } at;
    char line[24]; /* [n_line] the chunk's size line so far */
    size_t n_line;
};

void http_body_begin(struct http_body *b, const struct http_head *h);
/* Takes of bytes [n] what belongs to the body and appends its content to out; *taken says how many
 * were taken. HTTP_TOO_LONG: the content would be more than max. */
enum http_result http_read_body(struct http_body *b, const char *bytes, size_t n, size_t *taken,
                                size_t max, struct buffer *out, const char **why);

/* Whether text is this word, letters of either case being the same. */
bool http_text_is(struct http_text text, const char *word);

/* "OK", "Not Found", ... */
const char *http_reason(int status);

#endif
