/* Any bytes as a GGUF file in memory: every tensor accepted lies within it; the model's numbers and
 * the tokenizer rebuilt from the metadata are read as well. */
#include "quant/source/gguf.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensors(const struct raw_set *set, size_t size) {
    for (size_t i = 0; i < set->n_tensors; i++) {
        const struct raw_tensor *t = &set->tensors[i];
        if (t->offset > size || t->bytes > size - t->offset || raw_find(set, t->name) != t)
            abort();
    }
}

static void read_model(const struct gguf *g, const struct raw_set *set) {
    struct model_config config;
    struct tokenizer *tokenizer = NULL;
    struct bise_error err;
    uint8_t *bytes = NULL;
    size_t len;
    if (config_from_gguf(g, set, "fuzz.gguf", &config, NULL, &err) == BISE_OK)
        (void)config_check(&config, "fuzz.gguf", &err);
    if (tokenizer_from_gguf(g, "fuzz.gguf", &bytes, &len, NULL, &err) == BISE_OK && bytes)
        (void)tokenizer_open(&tokenizer, bytes, len, "fuzz.gguf", &err);
    tokenizer_close(&tokenizer);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct raw_set set = {0};
    struct raw_file file = {.path = (char *)"fuzz.gguf", .fd = -1};
    struct gguf g = {.bytes = (uint8_t *)(uintptr_t)data, .len = size};
    struct bise_error err;
    if (gguf_parse(&g, &set, 0, size, &file.names, file.path, &err) == BISE_OK) {
        set.files = &file;
        if (raw_complete(&set, &err) == BISE_OK) {
            check_tensors(&set, size);
            read_model(&g, &set);
        }
        set.files = NULL;
    }
    raw_close(&set);
    free(file.names);
    free(g.values);
    return 0;
}
