#include "tools/serve/http.h"

#include <string.h>

static enum http_result bad(const char **why, const char *what) {
    *why = what;
    return HTTP_BAD;
}

static bool is_token_char(unsigned char c) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && memchr(marks, c, sizeof marks - 1));
}

static bool is_token(struct http_text t) {
    for (size_t i = 0; i < t.len; i++)
        if (!is_token_char((unsigned char)t.at[i]))
            return false;
    return t.len > 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool http_text_is(struct http_text text, const char *word) {
    size_t i = 0;
    while (i < text.len && word[i] && lower(text.at[i]) == lower(word[i]))
        i++;
    return text.at && i == text.len && !word[i];
}

static struct http_text trimmed(struct http_text t) {
    while (t.len && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.len--;
    }
    while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* ---- the request line ---- */

/* What stands before the next space of *rest, which then begins behind it. */
static struct http_text next_word(struct http_text *rest) {
    const char *space = memchr(rest->at, ' ', rest->len);
    const size_t len = space ? (size_t)(space - rest->at) : rest->len;
    const struct http_text word = {rest->at, len};
    const size_t step = space ? len + 1 : len;
    rest->at += step;
    rest->len -= step;
    return word;
}

static enum http_result read_request_line(struct http_head *h, struct http_text line,
                                          const char **why) {
    h->method = next_word(&line);
    struct http_text target = next_word(&line);
    if (!is_token(h->method) || h->method.len > 16)
        return bad(why, "the request line begins with no method");
    if (!target.len || target.at[0] != '/')
        return bad(why, "the request's target is no path");
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~' || target.at[i] == '#')
            return bad(why, "the request's target holds a character that must be escaped");
    if (line.len != 8 || memcmp(line.at, "HTTP/1.", 7) != 0 ||
        (line.at[7] != '0' && line.at[7] != '1'))
        return bad(why, "expected HTTP/1.1 or HTTP/1.0");
    const char *query = memchr(target.at, '?', target.len);
    h->path = (struct http_text){target.at, query ? (size_t)(query - target.at) : target.len};
    h->has_query = query != NULL;
    h->is_1_1 = line.at[7] == '1';
    h->keep_alive = h->is_1_1;
    return HTTP_DONE;
}

/* ---- fields ---- */

static enum http_result read_length(struct http_head *h, struct http_text v, const char **why) {
    if (h->has_length)
        return bad(why, "more than one Content-Length");
    if (!v.len || v.len > 18)
        return bad(why, "Content-Length is no number of at most 18 digits");
    for (size_t i = 0; i < v.len; i++) {
        if (v.at[i] < '0' || v.at[i] > '9')
            return bad(why, "Content-Length is no number of at most 18 digits");
        h->length = h->length * 10 + (uint64_t)(v.at[i] - '0');
    }
    h->has_length = true;
    return HTTP_DONE;
}

static void read_connection(struct http_head *h, struct http_text v) {
    while (v.len) {
        const char *comma = memchr(v.at, ',', v.len);
        const size_t len = comma ? (size_t)(comma - v.at) : v.len;
        const struct http_text word = trimmed((struct http_text){v.at, len});
        if (http_text_is(word, "close"))
            h->keep_alive = false;
        v.at += comma ? len + 1 : len;
        v.len -= comma ? len + 1 : len;
    }
}

/* A field that may come once. */
static enum http_result keep_once(struct http_text *place, struct http_text v, const char **why,
                                  const char *twice) {
    if (place->at)
        return bad(why, twice);
    *place = v;
    return HTTP_DONE;
}

static enum http_result read_field(struct http_head *h, struct http_text name, struct http_text v,
                                   const char **why) {
    if (http_text_is(name, "host"))
        return keep_once(&h->host, v, why, "more than one Host");
    if (http_text_is(name, "origin"))
        return keep_once(&h->origin, v, why, "more than one Origin");
    if (http_text_is(name, "authorization"))
        return keep_once(&h->authorization, v, why, "more than one Authorization");
    if (http_text_is(name, "content-type"))
        return keep_once(&h->content_type, v, why, "more than one Content-Type");
    if (http_text_is(name, "content-length"))
        return read_length(h, v, why);
    if (http_text_is(name, "transfer-encoding")) {
        if (h->chunked || !http_text_is(v, "chunked"))
            return bad(why, "Transfer-Encoding is something else than one \"chunked\"");
        h->chunked = true;
    } else if (http_text_is(name, "connection")) {
        read_connection(h, v);
    } else if (http_text_is(name, "expect")) {
        if (!http_text_is(v, "100-continue"))
            return bad(why, "Expect is something else than 100-continue");
        h->expects_continue = true;
    }
    return HTTP_DONE;
}

static enum http_result read_field_line(struct http_head *h, struct http_text line,
                                        const char **why) {
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon)
        return bad(why, "a header field without a colon");
    const size_t n_name = (size_t)(colon - line.at);
    const struct http_text name = {line.at, n_name};
    const struct http_text v = {colon + 1, line.len - n_name - 1};
    if (!is_token(name))
        return bad(why, "a header field's name is no name");
    for (size_t i = 0; i < v.len; i++)
        if (((unsigned char)v.at[i] < ' ' && v.at[i] != '\t') || v.at[i] == 0x7F)
            return bad(why, "a header field holds a control character");
    return read_field(h, name, trimmed(v), why);
}

/* The line that begins at *at, which then is behind its CRLF. HTTP_MORE: it has no end yet. */
static enum http_result next_line(const char *bytes, size_t n, size_t *at, struct http_text *line,
                                  const char **why) {
    const char *end = memchr(bytes + *at, '\n', n - *at);
    if (!end)
        return HTTP_MORE;
    const size_t len = (size_t)(end - bytes) - *at;
    if (!len || bytes[*at + len - 1] != '\r')
        return bad(why, "a line ends with LF alone, expected CRLF");
    *line = (struct http_text){bytes + *at, len - 1};
    if (memchr(line->at, '\r', line->len) || memchr(line->at, 0, line->len))
        return bad(why, "a line holds a CR or NUL");
    *at += len + 1;
    return HTTP_DONE;
}

static enum http_result check_head(const struct http_head *h, const char **why) {
    if (!h->host.at)
        return bad(why, "no Host");
    if (h->chunked && h->has_length)
        return bad(why, "both Content-Length and Transfer-Encoding");
    if (h->chunked && !h->is_1_1)
        return bad(why, "Transfer-Encoding in HTTP/1.0");
    return HTTP_DONE;
}

enum http_result http_read_head(struct http_head *h, const char *bytes, size_t n, size_t *taken,
                                const char **why) {
    const bool cut = n > HTTP_MAX_HEAD;
    size_t at = 0, n_fields = 0;
    struct http_text line;
    *h = (struct http_head){.length = 0};
    if (cut)
        n = HTTP_MAX_HEAD;
    if (n >= 2 && bytes[0] == '\r' && bytes[1] == '\n')
        at = 2; /* one empty line before a request, as old clients send it behind a body */
    enum http_result result = next_line(bytes, n, &at, &line, why);
    if (result == HTTP_DONE)
        result = read_request_line(h, line, why);
    while (result == HTTP_DONE) {
        result = next_line(bytes, n, &at, &line, why);
        if (result == HTTP_DONE && !line.len) {
            *taken = at;
            return check_head(h, why);
        }
        if (result == HTTP_DONE && ++n_fields > HTTP_MAX_FIELDS) {
            *why = "more than 100 header fields";
            return HTTP_TOO_LONG;
        }
        if (result == HTTP_DONE)
            result = read_field_line(h, line, why);
    }
    if (result == HTTP_MORE && (cut || n == HTTP_MAX_HEAD)) {
        *why = "a header of more than 16 KB";
        return HTTP_TOO_LONG;
    }
    return result;
}

/* ---- bodies ---- */

void http_body_begin(struct http_body *b, const struct http_head *h) {
    *b = (struct http_body){.chunked = h->chunked, .left = h->length, .at = CHUNK_SIZE};
}

static enum http_result take_content(struct http_body *b, const char *bytes, size_t n,
                                     size_t *taken, struct buffer *out) {
    const size_t some = b->left < n ? (size_t)b->left : n;
    buffer_put(out, bytes, some);
    b->left -= some;
    *taken += some;
    return b->left ? HTTP_MORE : HTTP_DONE;
}

/* One more byte of a line that ends with CRLF; HTTP_DONE where it is whole, b->line then holding it
 * without its end. */
static enum http_result take_line_byte(struct http_body *b, char c, const char **why) {
    const bool after_cr = b->n_line && b->line[b->n_line - 1] == '\r';
    if (after_cr != (c == '\n'))
        return bad(why, "a chunk's line does not end with CRLF");
    if (after_cr) {
        b->n_line--;
        return HTTP_DONE;
    }
    if (b->n_line == sizeof b->line)
        return bad(why, "a chunk's line is too long");
    b->line[b->n_line++] = c;
    return HTTP_MORE;
}

/* A chunk's size: at most eight hexadecimal digits. */
static enum http_result read_size(struct http_body *b, const char **why) {
    uint64_t size = 0;
    if (!b->n_line || b->n_line > 8)
        return bad(why, "a chunk's size is no hexadecimal number of at most 8 digits");
    for (size_t i = 0; i < b->n_line; i++) {
        const char c = lower(b->line[i]);
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return bad(why, "a chunk's size is no hexadecimal number of at most 8 digits");
        size = size * 16 + (uint64_t)digit;
    }
    b->left = size;
    b->n_line = 0;
    b->at = size ? CHUNK_DATA : CHUNK_LAST;
    return HTTP_MORE;
}

/* A line of the chunked form has been read whole. */
static enum http_result read_chunk_line(struct http_body *b, const char **why) {
    if (b->at == CHUNK_SIZE)
        return read_size(b, why);
    if (b->n_line)
        return bad(why, b->at == CHUNK_LAST ? "trailers are not accepted"
                                            : "a chunk is longer than it said");
    const bool last = b->at == CHUNK_LAST;
    b->at = CHUNK_SIZE;
    return last ? HTTP_DONE : HTTP_MORE;
}

enum http_result http_read_body(struct http_body *b, const char *bytes, size_t n, size_t *taken,
                                size_t max, struct buffer *out, const char **why) {
    enum http_result result = HTTP_MORE;
    *taken = 0;
    if (!b->chunked) {
        if (b->left > max - out->len) {
            *why = "the body is too long";
            return HTTP_TOO_LONG;
        }
        return take_content(b, bytes, n, taken, out);
    }
    while (*taken < n && result == HTTP_MORE) {
        if (b->at == CHUNK_DATA) {
            if (take_content(b, bytes + *taken, n - *taken, taken, out) == HTTP_DONE)
                b->at = CHUNK_END;
            continue;
        }
        result = take_line_byte(b, bytes[(*taken)++], why);
        if (result == HTTP_DONE)
            result = read_chunk_line(b, why);
        if (result == HTTP_MORE && b->at == CHUNK_DATA && b->left > max - out->len) {
            *why = "the body is too long";
            return HTTP_TOO_LONG;
        }
    }
    return result;
}

const char *http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
