/* Any bytes as a file of statistics: as they are, and with length and checksum mended. What is
 * accepted has finite moments and can be looked up. */
#include "quant/gptq/moments.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/finite.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size) {
    struct moments s;
    struct bise_error err = {0};
    if (moments_decode(&s, data, size, "fuzz", &err) != BISE_OK) {
        if (s.n != 0 || s.entries != NULL || err.detail[0] == 0)
            abort();
        return;
    }
    for (size_t i = 0; i < s.n; i++)
        if (!all_finite(s.entries[i].squares, s.entries[i].cols))
            abort();
    for (size_t i = 0; i < s.n && i < 64; i++)
        (void)moments_weights(&s, s.entries[i].name);
    moments_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    if (size < MOMENTS_HEADER)
        return 0;
    uint8_t *const copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    memcpy(copy, MOMENTS_MAGIC, 8);
    put_u32(copy + 8, MOMENTS_VERSION);
    put_u64(copy + 16, size);
    memset(copy + 28, 0, MOMENTS_HEADER - 28);
    put_u32(copy + 12, 0);
    put_u32(copy + 12, crc32c(0, copy, size));
    decode(copy, size);
    free(copy);
    return 0;
}
