#include "quant/source/proto.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include <stdlib.h>

static void put(struct proto *p, const void *data, size_t n) {
    p->failed = p->failed || !array_grow(&p->at, &p->cap, p->n + n, 1);
    if (p->failed)
        return;
    if (n > 0)
        memcpy(p->at + p->n, data, n);
    p->n += n;
}

void proto_varint(struct proto *p, uint32_t u) {
    for (; u >= 0x80; u >>= 7)
        put(p, &(uint8_t){(uint8_t)(u | 0x80)}, 1);
    put(p, &(uint8_t){(uint8_t)u}, 1);
}

void proto_bytes(struct proto *p, uint32_t field, const void *data, size_t len) {
    proto_varint(p, field << 3 | 2);
    proto_varint(p, (uint32_t)len);
    put(p, data, len);
}

static size_t varint_bytes(size_t u) {
    return u < 0x80 ? 1 : u < 0x4000 ? 2 : 3;
}

/* Field 1: a piece {1: text, 2: score, 3: type}. */
static void put_piece(struct proto *p, const char *text, size_t len, const float *score,
                      enum piece_kind kind) {
    uint8_t bytes[4];
    put(p, "\x0a", 1);
    proto_varint(p, (uint32_t)(1 + varint_bytes(len) + len + (score ? 5 : 0) + 2));
    proto_bytes(p, 1, text, len);
    if (score) {
        put_f32(bytes, *score);
        put(p, "\x15", 1);
        put(p, bytes, sizeof bytes);
    }
    put(p, "\x18", 1);
    put(p, &(uint8_t){(uint8_t)kind}, 1);
}

void proto_piece(struct proto *p, const char *text, size_t len, float score, enum piece_kind kind) {
    put_piece(p, text, len, &score, kind);
}

void proto_piece_unscored(struct proto *p, const char *text, size_t len, enum piece_kind kind) {
    put_piece(p, text, len, NULL, kind);
}

/* Trainer: 3 BPE, 35 byte fallback. Normalizer: 3 dummy prefix, 4 keep spaces, 5 escape. */
void proto_specs(struct proto *p, bool byte_fallback, bool add_prefix) {
    put(p, "\x12\x05\x18\x02\x98\x02", 6);
    put(p, &(uint8_t){byte_fallback}, 1);
    put(p, "\x1a\x06\x18", 3);
    put(p, &(uint8_t){add_prefix}, 1);
    put(p, "\x20\x00\x28\x01", 4);
}

static void put_u32_word(struct proto *p, uint32_t u) {
    uint8_t bytes[4];
    put_u32(bytes, u);
    put(p, bytes, sizeof bytes);
}

void proto_token_flags(struct proto *p, uint32_t id, uint32_t flags) {
    put_u32_word(p, id);
    put_u32_word(p, flags);
}

void proto_merge(struct proto *p, uint32_t left, uint32_t right, uint32_t both) {
    put_u32_word(p, left);
    put_u32_word(p, right);
    put_u32_word(p, both);
}

void proto_rules(struct proto *p, uint32_t rules, const struct proto *merges,
                 const struct proto *tokens) {
    struct proto inner = {0};
    proto_varint(&inner, RULES_FLAGS << 3);
    proto_varint(&inner, rules);
    if (merges)
        proto_bytes(&inner, RULES_MERGES, merges->at, merges->n);
    if (tokens && tokens->n)
        proto_bytes(&inner, RULES_TOKENS, tokens->at, tokens->n);
    proto_bytes(p, RULES_FIELD, inner.at, inner.n);
    p->failed =
        p->failed || inner.failed || (merges && merges->failed) || (tokens && tokens->failed);
    proto_free(&inner);
}

enum bise_status proto_take(struct proto *p, const char *where, uint8_t **bytes, size_t *len,
                            struct bise_error *err) {
    if (p->failed) {
        proto_free(p);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its tokenizer", where);
    }
    *bytes = p->at;
    *len = p->n;
    *p = (struct proto){0};
    return BISE_OK;
}

void proto_free(struct proto *p) {
    free(p->at);
    *p = (struct proto){0};
}
