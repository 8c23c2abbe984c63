/* Writes small tokenizer.model files for tests: the wire format of protocol buffers, by hand. */
#ifndef BISE_TESTS_UNIT_TOY_TOKENIZER_H
#define BISE_TESTS_UNIT_TOY_TOKENIZER_H

#include "src/text/tokenizer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toy {
    uint8_t bytes[65536];
    size_t len;
};

static inline void toy_varint(struct toy *m, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        m->bytes[m->len++] = (uint8_t)(v | 0x80);
    m->bytes[m->len++] = (uint8_t)v;
}

static inline void toy_bytes(struct toy *m, unsigned field, const void *data, size_t len) {
    toy_varint(m, field << 3 | 2);
    toy_varint(m, len);
    if (len)
        memcpy(m->bytes + m->len, data, len);
    m->len += len;
}

static inline void toy_int(struct toy *m, unsigned field, uint64_t v) {
    toy_varint(m, field << 3);
    toy_varint(m, v);
}

static inline void toy_piece_n(struct toy *m, const char *text, size_t len, float score,
                               enum piece_kind kind) {
    struct toy p = {.len = 0};
    toy_bytes(&p, 1, text, len);
    p.bytes[p.len++] = 2 << 3 | 5;
    memcpy(p.bytes + p.len, &score, 4);
    p.len += 4;
    if (kind != PIECE_NORMAL)
        toy_int(&p, 3, kind);
    toy_bytes(m, 1, p.bytes, p.len);
}

static inline void toy_piece(struct toy *m, const char *text, float score, enum piece_kind kind) {
    toy_piece_n(m, text, strlen(text), score, kind);
}

/* <unk> <s> </s> as 0, 1, 2; with bytes, the 256 byte pieces as 3..258. */
static inline void toy_begin(struct toy *m, bool bytes) {
    m->len = 0;
    toy_piece(m, "<unk>", 0, PIECE_UNKNOWN);
    toy_piece(m, "<s>", 0, PIECE_CONTROL);
    toy_piece(m, "</s>", 0, PIECE_CONTROL);
    for (unsigned i = 0; bytes && i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        toy_piece(m, name, 0, PIECE_BYTE);
    }
}

/* trainer_spec (BPE, byte_fallback) and normalizer_spec (identity, extra whitespace kept). */
static inline void toy_end(struct toy *m, bool bytes, bool prefix) {
    struct toy spec = {.len = 0};
    toy_int(&spec, 3, 2);
    toy_int(&spec, 35, bytes);
    toy_bytes(m, 2, spec.bytes, spec.len);
    spec.len = 0;
    toy_bytes(&spec, 1, "identity", 8);
    toy_int(&spec, 3, prefix);
    toy_int(&spec, 4, 0);
    toy_bytes(m, 3, spec.bytes, spec.len);
}

static inline struct tokenizer *toy_open(const struct toy *m) {
    struct tokenizer *t = NULL;
    struct bise_error err = {0};
    cr_assert_eq(tokenizer_open(&t, m->bytes, m->len, "toy", &err), BISE_OK, "%s", err.detail);
    return t;
}

/* The ids as text: "5 6 7". */
static inline const char *toy_encode(const struct tokenizer *t, const char *text) {
    static char out[4096];
    int32_t ids[512];
    size_t n, at = 0;
    struct bise_error err = {0};
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), true, ids, 512, &n, &err), BISE_OK, "%s",
                 err.detail);
    cr_assert_leq(n, 512u);
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, i ? " %d" : "%d", ids[i]);
    return out;
}

#endif
