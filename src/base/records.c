#include "src/base/records.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"

#include <stdlib.h>

static bool reserve(struct records *r, size_t len) {
    if (r->failed || len > RECORD_MAX)
        return false;
    return array_grow(&r->data, &r->cap, r->n + len + RECORD_OVERHEAD, 1);
}

void records_put(struct records *r, uint32_t kind, const void *data, size_t len) {
    if (!reserve(r, len)) {
        r->failed = true;
        return;
    }
    uint8_t *const at = r->data + r->n;
    put_u32(at, kind);
    put_u32(at + 4, (uint32_t)len);
    if (len)
        memcpy(at + 8, data, len);
    put_u32(at + 8 + len, crc32c(0, at, 8 + len));
    r->n += len + RECORD_OVERHEAD;
}

void records_free(struct records *r) {
    free(r->data);
    *r = (struct records){.n = 0};
}

bool records_next(struct record *r, const uint8_t *data, size_t n, size_t *at) {
    const size_t left = n - *at;
    if (left < RECORD_OVERHEAD)
        return false;
    const uint8_t *const p = data + *at;
    const size_t len = get_u32(p + 4);
    if (len > RECORD_MAX || len > left - RECORD_OVERHEAD ||
        get_u32(p + 8 + len) != crc32c(0, p, 8 + len))
        return false;
    *r = (struct record){.kind = get_u32(p), .data = p + 8, .len = len};
    *at += len + RECORD_OVERHEAD;
    return true;
}
