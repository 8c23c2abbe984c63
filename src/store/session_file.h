/*
 * A session's file, format 2, byte for byte (docs/format.md is the full text). Little-endian.
 *
 *   0    header, SESSION_HEADER bytes: the offsets below
 *        note      the caller's bytes
 *        cache     for each layer and KV head: keys, values, (i8, i4) their scales and (i4) their
 *                  grids of the positions first .. pos - 1, widened to whole groups of ATTN_GROUP
 *                  (zeros from pos on); in order of position, so that the ring they came from, or
 *                  go to, does not matter; then, in the same way, the sinks, positions 0 ..
 *                  n_sinks - 1
 *        state     ids i32 [n_ids], logits f32 [vocab_size] where there are
 *
 * Each of the three is followed by its CRC32C, and the file ends with the last. Of format 1, bise
 * 0.1's, header and note are read: the cache is of an arithmetic that is no more.
 */
#ifndef BISE_SRC_STORE_SESSION_FILE_H
#define BISE_SRC_STORE_SESSION_FILE_H

#include "src/engine/session.h"

#define SESSION_MAGIC      "BISES\r\n\x1a" /* 8 bytes */
#define SESSION_VERSION    2u
#define SESSION_HEADER     192u
#define SESSION_NAME       64u
#define SESSION_NOTE_MAX   ((uint64_t)1 << 32)
#define SESSION_ARITHMETIC 2u /* another number: the bits of a cache would not be ours */

/* Offsets in the header; u32 where no type is given. What is said of format 1 in brackets. */
enum session_field {
    S_MAGIC = 0,
    S_VERSION = 8,
    S_HEADER_CRC = 12, /* its own four bytes taken as zero */
    S_FILE_BYTES = 16, /* u64 */
    S_MODEL_HASH = 24, /* u64: session_model_hash [session_model_hash_1] */
    S_SEED = 32,       /* u64 [length of the model's file] */
    S_MODEL_NAME = 40, /* char [SESSION_NAME], zero padded: for messages */
    S_KV = 104,        /* enum bise_kv */
    S_WINDOW = 108,
    S_N_LAYERS = 112,
    S_N_KV_HEADS = 116,
    S_HEAD_DIM = 120,
    S_VOCAB_SIZE = 124,
    S_START_POS = 128,  /* u64 */
    S_FIRST = 136,      /* u64: lowest position in the cache */
    S_POS = 144,        /* u64: of the next token */
    S_N_IDS = 152,      /* the last ids before pos */
    S_ARITHMETIC = 156, /* SESSION_ARITHMETIC [ids that the penalties looked back at] */
    S_NOTE_BYTES = 160, /* u64 */
    S_FLAGS = 168,      /* SESSION_HAS_LOGITS */
    S_N_SINKS = 172,    /* positions that stay besides; a multiple of ATTN_GROUP */
    S_UNUSED = 176      /* zero to the end */
};
#define SESSION_HAS_LOGITS 1u

struct session_header {
    uint32_t version;
    uint64_t file_bytes, model_hash, seed, note_bytes;
    char model_name[SESSION_NAME];
    uint32_t kv, window, n_layers, n_kv_heads, head_dim, vocab_size;
    uint64_t start_pos, first, pos;
    uint32_t n_ids, arithmetic, flags, n_sinks;
};

/* What the bits of a cache depend on: the config's numbers, each tensor's name, type, shape,
 * codebook and CRC, the tokenizer's pieces. */
uint64_t session_model_hash(const struct bise_model *model);
/* That of bise 0.1: of the bytes of the model file's header. */
uint64_t session_model_hash_1(const struct bise_model *model);

/* Positions of the cache in the file: first and pos widened to whole groups. */
static inline uint64_t session_cache_from(const struct session_header *h) {
    return h->first & ~(uint64_t)(ATTN_GROUP - 1);
}

static inline uint64_t session_cache_to(const struct session_header *h) {
    return (h->pos + ATTN_GROUP - 1) & ~(uint64_t)(ATTN_GROUP - 1);
}

/* Length of the whole file; false if it overflows. Positions and kv must have been checked. */
bool session_file_bytes(const struct session_header *h, uint64_t *bytes);

void session_header_write(const struct session_header *h, uint8_t out[SESSION_HEADER]);
/* Reads a header from data [n], all there is of it, and checks every number in it; name: for
 * messages. Errors: FORMAT, UNSUPPORTED (a later version). */
enum bise_status session_header_read(struct session_header *h, const uint8_t *data, size_t n,
                                     const char *name, struct bise_error *err);
/* Whether the file is as long as its header says. Errors: FORMAT. */
enum bise_status session_check_length(const struct session_header *h, uint64_t file_bytes,
                                      const char *name, struct bise_error *err);
/* Whether the file belongs to the model. Errors: UNSUPPORTED, naming both. */
enum bise_status session_header_match(const struct session_header *h,
                                      const struct bise_model *model, const char *name,
                                      struct bise_error *err);

#endif
