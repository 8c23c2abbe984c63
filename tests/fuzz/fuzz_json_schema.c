/* A schema from anywhere, and text for it. The input is a length byte, the text, then JSON. */
#include "json.h"
#include "json_schema.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const size_t len = data[0] < size - 1 ? data[0] : size - 1;
    const char *text = (const char *)data + 1;
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    if (json_schema_parse(&g, text + len, size - 1 - len, NULL) == BISE_OK &&
        matcher_open(&m, &g, NULL) == BISE_OK) {
        size_t n = 0;
        struct json *json;
        while (n < len && matcher_accept(m, text + n, 1))
            n++;
        if (n && n == len && matcher_may_end(m)) { /* what a schema lets through is JSON */
            if (json_parse(&json, text, len, "text", NULL) != BISE_OK)
                abort();
            json_close(&json);
        }
        matcher_close(&m);
    }
    grammar_free(&g);
    return 0;
}
