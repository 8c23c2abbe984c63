/* GGUF files, versions 2 and 3: metadata, a table of tensors, the data. Internal to quant/source.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef BISE_QUANT_SOURCE_GGUF_H
#define BISE_QUANT_SOURCE_GGUF_H

#include "quant/source/note.h"
#include "quant/source/raw.h"
#include "src/model/config.h"

#define GGUF_MAX_HEADER (64u << 20) /* bytes before the data; a tokenizer takes 1 to 10 MB */

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64
};

struct gguf_text {
    const char *data; /* in the header; no NUL behind it */
    size_t len;
};

struct gguf_value {
    struct gguf_text key, text; /* text: of STRING */
    enum gguf_type type, item;  /* item: of ARRAY, never ARRAY itself */
    const uint8_t *data;        /* the number; the first item */
    uint64_t n;                 /* items of ARRAY */
};

struct gguf {
    uint8_t *bytes; /* the header, [len] of it read */
    size_t len;
    struct gguf_value *values; /* [n_values], sorted by key */
    size_t n_values;
};

/* Parses the first len bytes of a file of file_size bytes and adds its tensors to set, as of
 * file number `file`; their names become the caller's in *names. A stacked tensor of experts
 * becomes one tensor for each. g->bytes and g->len are given. Refused: counts, lengths,
 * dimensions and offsets beyond the file, unknown types, an empty key or one that comes twice,
 * more than any model has. Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status gguf_parse(struct gguf *g, struct raw_set *set, unsigned file, uint64_t file_size,
                            char **names, const char *name, struct bise_error *err);
/* Opens a file, keeps its metadata in *g and adds its tensors. */
enum bise_status raw_add_gguf(struct raw_set *set, struct gguf *g, const char *path,
                              struct bise_error *err);
void gguf_close(struct gguf *g);

/* NULL if there is none. */
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
/* The next string of an array, from *at on, which starts as v->data. */
struct gguf_text gguf_next_string(const uint8_t **at);

/* Whether the file is part number i of n, as its own metadata say. Errors: FORMAT. */
enum bise_status gguf_check_part(const struct gguf *g, size_t i, size_t n, const char *where,
                                 struct bise_error *err);
/* The model's numbers; set tells what the metadata leaves open. Ids that can never occur are left
 * out with a warning. The caller runs config_check.
 * Errors: FORMAT, UNSUPPORTED. */
enum bise_status config_from_gguf(const struct gguf *g, const struct raw_set *set,
                                  const char *where, struct model_config *c, struct note *note,
                                  struct bise_error *err);
/* The tokenizer as the bytes of a tokenizer.model, the caller's; NULL if there is none of its kind.
 * The unknown piece is unknown_token_id, whatever its type; others of that type are never used.
 * Errors: FORMAT, MEMORY. */
enum bise_status tokenizer_from_gguf(const struct gguf *g, const char *where, uint8_t **bytes,
                                     size_t *len, struct note *note, struct bise_error *err);

#endif
