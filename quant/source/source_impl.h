/* A source's insides, shared by source.c (what it is) and source_read.c (its rows). */
#ifndef BISE_QUANT_SOURCE_SOURCE_IMPL_H
#define BISE_QUANT_SOURCE_SOURCE_IMPL_H

#include "quant/source/folder.h"
#include "quant/source/gguf.h"
#include "quant/source/names.h"
#include "quant/source/source.h"

struct source {
    struct raw_set raw;
    struct model_config config;
    enum naming naming;
    struct source_tensor *tensors;  /* [n_tensors] */
    const struct raw_tensor **raws; /* [n_tensors] in raw */
    struct raw_tensor *parts;       /* [n_tensors] of NAMING_STACKED, which raws may point to */
    size_t n_tensors;
    struct gguf gguf;         /* of a GGUF file */
    struct bise_model *model; /* of a .bise file, which has no raw tensors; else NULL */
    char *tokenizer_path;     /* NULL: none */
    uint8_t *tokenizer_bytes; /* NULL: none in the file of weights */
    size_t tokenizer_len;
    char *chat_template;       /* NULL: none */
    bool has_tokenizer_config; /* without a template: a base model's */
    bool says_instruct;        /* by its name or its config's */
    char description[1024];
    uint64_t identity;
};

/* A .bise file as a source: for files of other types made from it, and for comparing. */
/* Whether path is named like one. */
bool is_bise_file(const char *path);
/* Errors: as bise_model_open. */
enum bise_status bise_file_open(struct source *s, const char *path, struct note *note,
                                struct bise_error *err);
/* Rows [row, row + n) of tensor i as the floats [n][cols] that its codes stand for. */
enum bise_status bise_file_rows(const struct source *s, size_t i, uint32_t row, uint32_t n,
                                float *out, struct bise_error *err);

#endif
