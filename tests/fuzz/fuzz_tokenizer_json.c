/* Any bytes as a tokenizer.json: what is accepted is a tokenizer that opens, and encodes the bytes
 * themselves within the bound that callers allocate by. */
#include "quant/source/tokenizer_json.h"
#include "src/base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct tokenizer *t, const char *text, size_t len) {
    int32_t ids[256];
    size_t n = 0, n_special = 0;
    if (tokenizer_encode(t, text, len, true, ids, 256, &n, NULL) == BISE_OK &&
        n > TOKENIZER_MAX_IDS(len))
        abort();
    for (size_t i = 0; i < n && i < 256; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= tokenizer_size(t) ||
            tokenizer_kind(t, ids[i]) == PIECE_CONTROL)
            abort();
    if (tokenizer_encode_special(t, text, len, ids, 256, &n_special, NULL) == BISE_OK &&
        n_special > TOKENIZER_MAX_IDS(len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json *j = NULL;
    struct tokenizer_json read = {.rules = 0};
    struct tokenizer *t = NULL;
    struct bise_error err;
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (json_parse(&j, (const char *)data, size, "fuzz.json", &err) != BISE_OK)
        return 0;
    enum bise_status s =
        tokenizer_json_read(&read, json_root(j), "fuzz.json", size % 2 ? 300 : 0, NULL, &err);
    if (s == BISE_OK) {
        proto_rules(&read.pieces, read.rules, &read.merges, &read.tokens);
        s = proto_take(&read.pieces, "fuzz.json", &bytes, &len, &err);
    }
    if (s == BISE_OK && tokenizer_open(&t, bytes, len, "fuzz.json", &err) == BISE_OK)
        encode(t, (const char *)data, utf8_invalid_at((const char *)data, size));
    tokenizer_close(&t);
    free(bytes);
    tokenizer_json_free(&read);
    json_close(&j);
    return 0;
}
