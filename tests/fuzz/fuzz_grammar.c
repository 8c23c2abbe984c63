/* A grammar from anywhere, and text for it. The input is a length byte, the text, then GBNF. */
#include "grammar.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const size_t len = data[0] < size - 1 ? data[0] : size - 1;
    const char *text = (const char *)data + 1;
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    if (grammar_parse(&g, text + len, size - 1 - len, NULL) == BISE_OK &&
        matcher_open(&m, &g, NULL) == BISE_OK) {
        for (size_t i = 0; i < len; i++)
            if (!matcher_accept(m, text + i, 1))
                break;
        (void)matcher_must_end(m);
        matcher_close(&m);
    }
    grammar_free(&g);
    return 0;
}
