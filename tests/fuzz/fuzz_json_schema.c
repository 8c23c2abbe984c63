/* A JSON Schema from anywhere, and text for it (matched.h). */
#include "src/base/json.h"
#include "src/constraint/json_schema.h"
#include "tests/fuzz/matched.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    const char *text;
    size_t len;
    if (matched_open(data, size, json_schema_parse, &g, &m, &text, &len)) {
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
