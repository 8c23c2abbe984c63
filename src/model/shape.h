/* The tensors a model of a given config consists of, in the order the file holds them: what the
 * writers write and the reader binds. */
#ifndef BISE_SRC_MODEL_SHAPE_H
#define BISE_SRC_MODEL_SHAPE_H

#include "kernels/layout.h"
#include "src/model/config.h"

struct tensor_shape {
    char name[64];       /* model.h */
    uint32_t rows, cols; /* rows 1 for a vector */
    bool is_vector;
    bool is_router; /* f32 whatever the type of the others */
};

/* tok_embeddings; per layer attention_norm, wq, wk, wv, wo, ffn_norm, (gate,) w1, w2, w3 of every
 * expert; norm; output unless tied. *shapes [*n] is the caller's, to be freed. config has passed
 * config_check. Errors: MEMORY. */
enum bise_status config_shapes(const struct model_config *config, struct tensor_shape **shapes,
                               size_t *n, struct bise_error *err);

/* Bytes in the file of a vector (f32), or of a matrix of type in panels. No overflow for rows and
 * cols within MAX_DIM and MAX_VOCAB. */
uint64_t tensor_bytes(enum tensor_type type, uint32_t rows, uint32_t cols, bool is_vector);

/* "f32", "bf16", "i8", "i4". */
const char *tensor_type_name(enum tensor_type type);
/* TYPE_COUNT if unknown. */
enum tensor_type tensor_type_from_name(const char *name);

#endif
