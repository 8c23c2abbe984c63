/* Any bytes as a safetensors file in memory: the header's length, the header, and that every tensor
 * accepted lies within the file. The header is also read as the two kinds of config. */
#include "quant/source/configs.h"
#include "quant/source/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensors(const struct raw_set *set, size_t size) {
    for (size_t i = 0; i < set->n_tensors; i++) {
        const struct raw_tensor *t = &set->tensors[i];
        if (t->offset > size || t->bytes > size - t->offset || raw_find(set, t->name) != t)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct raw_set set = {0};
    struct raw_file file = {.path = (char *)"fuzz.safetensors", .fd = -1};
    struct json *header = NULL;
    struct bise_error err;
    struct model_config config;
    const struct config_place place = {file.path, file.path, NULL};
    size_t len;
    if (size < 8 || safetensors_header_length(data, size, file.path, &len, &err) ||
        json_parse(&header, (const char *)data + 8, len, file.path, &err))
        return 0;
    if (config_from_hf(json_root(header), json_root(header), &place, &config, &err) == BISE_OK)
        (void)config_check(&config, file.path, &err);
    if (config_from_params(json_root(header), &place, &config, &err) == BISE_OK)
        (void)config_check(&config, file.path, &err);
    if (safetensors_add(&set, 0, header, len, size, file.path, &err) == BISE_OK) {
        set.files = &file;
        if (raw_complete(&set, &err) == BISE_OK)
            check_tensors(&set, size);
        set.files = NULL;
    }
    raw_close(&set);
    json_close(&header);
    return 0;
}
