/*
 * File format 1 and 2, byte for byte (docs/format.md is the full text). Little-endian, no struct is
 * written or read as it lies in memory.
 *
 *   0      preamble, FORMAT_PREAMBLE bytes: the offsets below
 *          texts, back to back: three of provenance, and the model's name
 *   64 *   tokenizer.model as it was
 *   64 *   tensor table: n_tensors entries of FORMAT_ENTRY bytes
 *   64 *   header_bytes: the first tensor; the others follow, each at the next multiple of 64
 *
 * The header's CRC covers all bytes before header_bytes, its own four taken as zero. A writer puts
 * the preamble down last: until then the file begins with zeros.
 */
#ifndef BISE_SRC_MODEL_FORMAT_H
#define BISE_SRC_MODEL_FORMAT_H

#include "src/model/model.h"

#define FORMAT_MAGIC    "BISE\r\n\x1a\n" /* 8 bytes; mangled by transfers in text mode */
#define FORMAT_VERSION  2u /* the latest: written where a file needs what version 1 has not */
#define FORMAT_ALIGN    64u
#define FORMAT_PREAMBLE 256u
#define FORMAT_ENTRY    128u
#define FORMAT_TEXT_MAX 1023u /* bytes of each provenance text */
#define FORMAT_NAME_MAX 127u  /* of the name */

/* Offsets in the preamble; u32 where no type is given. What is not named is zero. */
enum preamble_field {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_HEADER_CRC = 12,
    AT_FILE_BYTES = 16,       /* u64 */
    AT_HEADER_BYTES = 24,     /* u64 */
    AT_TOKENIZER_OFFSET = 32, /* u64; 0 where there is none */
    AT_TOKENIZER_BYTES = 40,  /* u64; 0 where there is none */
    AT_TABLE_OFFSET = 48,     /* u64 */
    AT_N_TENSORS = 56,
    AT_FLAGS = 60,
    AT_DIM = 64,
    AT_N_LAYERS = 68,
    AT_N_HEADS = 72,
    AT_N_KV_HEADS = 76,
    AT_HEAD_DIM = 80,
    AT_FFN_DIM = 84,
    AT_VOCAB_SIZE = 88,
    AT_N_EXPERTS = 92,
    AT_N_EXPERTS_USED = 96,
    AT_WINDOW = 100,
    AT_MAX_CONTEXT = 104,
    AT_NORM_EPS = 108,   /* f32 */
    AT_ROPE_THETA = 112, /* f64 */
    AT_BOS_ID = 120,     /* i32 */
    AT_N_EOS = 124,
    AT_EOS_IDS = 128, /* i32 [MAX_EOS] */
    AT_CHAT = 192,    /* char [16], zero padded */
    AT_SOURCE_BYTES = 208,
    AT_RECIPE_BYTES = 212,
    AT_EVAL_BYTES = 216,
    AT_NAME_BYTES = 220,
    AT_PREAMBLE_UNUSED = 224
};
#define FLAG_TIED_HEAD  1u
#define FLAG_NO_BOS     2u /* this and the following: version 2, which has at least one of them */
#define FLAG_ADD_EOS    4u
#define FLAG_OWN_RULES  8u
#define FLAG_NAMED      16u
#define FLAGS_OF_V2     (FLAG_NO_BOS | FLAG_ADD_EOS | FLAG_OWN_RULES | FLAG_NAMED)
#define CHAT_NAME_BYTES 16

/* Offsets in an entry of the tensor table. */
enum entry_field {
    ENTRY_NAME = 0, /* char [64], zero padded */
    ENTRY_TYPE = 64,
    ENTRY_FLAGS = 68, /* FLAG_VECTOR */
    ENTRY_ROWS = 72,
    ENTRY_COLS = 76,
    ENTRY_OFFSET = 80, /* u64 */
    ENTRY_LENGTH = 88, /* u64 */
    ENTRY_CRC = 96,
    ENTRY_ERROR = 100,    /* f32 */
    ENTRY_CODEBOOK = 104, /* i8 [CODEBOOK_SIZE] */
    ENTRY_UNUSED = 120
};
#define FLAG_VECTOR 1u

/* A header in memory. */
struct file_header {
    struct model_config config;
    struct provenance provenance;
    uint32_t version; /* as read; a writer takes the lowest that does */
    uint64_t file_bytes, header_bytes;
    uint64_t tokenizer_offset, tokenizer_bytes; /* both 0: none */
    uint64_t table_offset;
    struct tensor *tensors; /* [n_tensors], w not set; owned: file_header_free */
    uint32_t n_tensors;
};

/* Offset of the first byte of a provenance text that may not be there: texts are UTF-8 without
 * control characters but '\n'. n if all may. */
size_t format_text_bad_at(const char *text, size_t n);

/* Places tokenizer, table and tensors (name, type, rows, cols and is_vector of which are set, as
 * are provenance and tokenizer_bytes): fills every offset and length. Errors: ARG (too large). */
enum bise_status format_place(struct file_header *h, struct bise_error *err);

/* Writes the header but for the tokenizer into out [header_bytes], zeroed by the caller and holding
 * the tokenizer at its place; the CRC last. */
void format_write(const struct file_header *h, uint8_t *out);

/* What the first FORMAT_PREAMBLE bytes (or the n there are) of a file of file_bytes say, in
 * constant time: magic, version, that the file is as long as it should be. name: for messages.
 * Errors: FORMAT, UNSUPPORTED (later version). */
enum bise_status format_read_preamble(const uint8_t *data, size_t n, uint64_t file_bytes,
                                      const char *name, uint64_t *header_bytes,
                                      struct bise_error *err);

/* Reads a whole header from data [n], of a file of file_bytes whose other bytes are not looked at.
 * Every number in it is checked; the names of tensors are not (model.c binds them). On failure
 * nothing is left to free. Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status format_read(struct file_header *h, const uint8_t *data, size_t n,
                             uint64_t file_bytes, const char *name, struct bise_error *err);
void file_header_free(struct file_header *h);

#endif
