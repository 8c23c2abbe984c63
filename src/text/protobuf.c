#include "src/text/protobuf.h"

#include <stdbool.h>
#include <string.h>

struct pb_reader pb_open(const void *data, size_t len) {
    const uint8_t *at = data;
    return (struct pb_reader){.at = at, .end = len ? at + len : at};
}

static size_t left(const struct pb_reader *r) {
    return (size_t)(r->end - r->at);
}

/* At most ten bytes of seven bits, the lowest first; bits beyond the 64th are refused. */
static bool read_varint(struct pb_reader *r, uint64_t *value) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end)
            return false;
        const uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = v;
            return true;
        }
    }
    return false;
}

static bool read_fixed(struct pb_reader *r, size_t n, uint64_t *value) {
    if (left(r) < n)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += n;
    *value = v;
    return true;
}

static bool read_field(struct pb_reader *r, struct pb_field *f) {
    uint64_t key;
    if (!read_varint(r, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return false;
    *f = (struct pb_field){.number = (uint32_t)(key >> 3), .wire = (enum pb_wire)(key & 7)};
    switch (key & 7) {
    case PB_VARINT:
        return read_varint(r, &f->value);
    case PB_FIXED64:
        return read_fixed(r, 8, &f->value);
    case PB_FIXED32:
        return read_fixed(r, 4, &f->value);
    case PB_BYTES: {
        uint64_t len;
        if (!read_varint(r, &len) || len > left(r))
            return false;
        f->data = r->at;
        f->len = (size_t)len;
        r->at += len;
        return true;
    }
    default:
        return false;
    }
}

enum pb_result pb_next(struct pb_reader *r, struct pb_field *f) {
    if (r->at == r->end)
        return PB_END;
    return read_field(r, f) ? PB_FIELD : PB_BAD;
}

float pb_float(const struct pb_field *f) {
    const uint32_t bits = (uint32_t)f->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
