/* Any bytes as JSON: read whole, or refused; what was read is walked and its strings escaped. */
#include "src/base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct json_value *v) {
    char out[64];
    size_t n = 1;
    if (v->kind == JSON_STRING)
        n += json_escape(out, sizeof out, v->string, v->len);
    if (v->key)
        n += json_escape(out, 3, v->key, v->key_len);
    for (const struct json_value *c = json_first(v); c; c = json_next(v, c))
        n += walk(c);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json *j = NULL;
    struct bise_error err;
    if (json_parse(&j, (const char *)data, size, "fuzz.json", &err) == BISE_OK &&
        walk(json_root(j)) == 0)
        abort();
    json_close(&j);
    return 0;
}
