/* A grammar (GBNF) from anywhere, and text for it (matched.h). */
#include "tests/fuzz/matched.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    const char *text;
    size_t len;
    if (matched_open(data, size, grammar_parse, &g, &m, &text, &len)) {
        for (size_t i = 0; i < len; i++)
            if (!matcher_accept(m, text + i, 1))
                break;
        matcher_close(&m);
    }
    grammar_free(&g);
    return 0;
}
