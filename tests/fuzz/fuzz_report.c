/* Files of bise bench and bise study, alone and in a page, and the three reports made of them. What
 * was read from a page that was made of it is the same again. */
#include "tools/report/page.h"

#include <stdlib.h>
#include <string.h>

static void make(const struct runs *r, struct buffer *page) {
    struct buffer md = {0}, svg = {0};
    report_html(page, r);
    report_md(&md, r);
    (void)report_svg(&svg, r);
    buffer_free(&md);
    buffer_free(&svg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct runs runs = {0}, again = {0};
    struct buffer page = {0}, second = {0};
    struct bise_error err;
    char *const text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (runs_read_text(&runs, text, size, "fuzz", &err) == BISE_OK && runs.n + runs.n_studies > 0) {
        make(&runs, &page);
        if (runs_read_text(&again, page.bytes, page.len, "page", &err) != BISE_OK)
            abort();
        make(&again, &second);
        if (page.len != second.len || memcmp(page.bytes, second.bytes, page.len) != 0)
            abort();
    }
    runs_free(&again);
    runs_free(&runs);
    buffer_free(&second);
    buffer_free(&page);
    free(text);
    return 0;
}
