/* Any bytes as an HTTP request, in one piece and byte by byte: both ways see the same. */
#include "tools/serve/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_CONTENT 4096

/* The body behind the head, in pieces of so many bytes; how many belong to it. */
static enum http_result read_body(const struct http_head *h, const char *bytes, size_t n,
                                  size_t step, struct buffer *out, size_t *used) {
    struct http_body b;
    const char *why;
    enum http_result result = HTTP_MORE;
    http_body_begin(&b, h);
    *used = 0;
    do {
        const size_t some = n - *used < step ? n - *used : step;
        size_t taken = 0;
        result = http_read_body(&b, bytes + *used, some, &taken, MAX_CONTENT, out, &why);
        if (taken > some)
            abort();
        *used += taken;
        if (!taken && result == HTTP_MORE)
            break;
    } while (result == HTTP_MORE && *used < n);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data, *why;
    struct http_head h, early;
    size_t taken = 0, used, used_slowly;
    struct buffer out = {.len = 0}, slowly = {.len = 0};
    const enum http_result result = http_read_head(&h, bytes, size, &taken, &why);
    if (result == HTTP_DONE) {
        if (taken > size || !h.host.at || (h.chunked && h.has_length))
            abort();
        if (http_read_head(&early, bytes, taken - 1, &taken, &why) != HTTP_MORE)
            abort();
        http_read_head(&h, bytes, size, &taken, &why);
        const enum http_result fast =
            read_body(&h, bytes + taken, size - taken, SIZE_MAX, &out, &used);
        const enum http_result slow =
            read_body(&h, bytes + taken, size - taken, 1, &slowly, &used_slowly);
        if (fast != slow || (fast == HTTP_DONE && (used != used_slowly || out.len != slowly.len)))
            abort();
        if (out.len > MAX_CONTENT)
            abort();
    }
    buffer_free(&out);
    buffer_free(&slowly);
    return 0;
}
