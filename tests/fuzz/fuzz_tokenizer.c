/* A tokenizer.model that nobody made with care, and text for it. The input is two bytes (length of
 * the text, little-endian), the text, then the model. */
#include "src/text/tokenizer.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    size_t len = (size_t)(data[0] | data[1] << 8);
    if (len > size - 2)
        len = size - 2;
    const char *text = (const char *)data + 2;
    struct tokenizer *t;
    if (tokenizer_open(&t, data + 2 + len, size - 2 - len, "fuzz", NULL) != BISE_OK)
        return 0;
    int32_t ids[256];
    size_t n, n_bytes;
    if (tokenizer_encode(t, text, len, true, ids, 256, &n, NULL) == BISE_OK)
        for (size_t i = 0; i < n && i < 256; i++)
            if (!tokenizer_piece(t, ids[i], &n_bytes))
                abort(); /* an id that is none */
    if (tokenizer_encode_special(t, text, len, ids, 256, &n, NULL) == BISE_OK &&
        n > TOKENIZER_MAX_IDS(len))
        abort(); /* more than callers have room for */
    (void)tokenizer_find(t, text, len < 16 ? len : 16);
    tokenizer_close(&t);
    return 0;
}
