/* What tensors are called in checkpoints. */
#ifndef BISE_QUANT_SOURCE_NAMES_H
#define BISE_QUANT_SOURCE_NAMES_H

#include "quant/source/raw.h"

enum naming {
    NAMING_HF,           /* model.layers.0.self_attn.q_proj.weight; wq and wk half-rotated */
    NAMING_CONSOLIDATED, /* layers.0.attention.wq.weight; wq and wk in pairs (2i, 2i+1) */
    NAMING_GGUF,         /* blk.0.attn_q.weight; wq and wk in pairs */
    NAMING_STACKED,      /* as consolidated, but for mixtures: stacked.h */
    NAMING_FUSED         /* as HF, but for mixtures: stacked.h */
};

/* Whether wq and wk lie there in pairs, half-rotated elsewhere. */
static inline bool naming_in_pairs(enum naming naming) {
    return naming != NAMING_HF && naming != NAMING_FUSED;
}
/* Whether a layer's experts are parts of one tensor. */
static inline bool naming_is_stacked(enum naming naming) {
    return naming == NAMING_STACKED || naming == NAMING_FUSED;
}

/* The checkpoint's name of a tensor of model.h. out [cap]. */
void origin_name(char *out, size_t cap, const char *name, enum naming naming);
/* By the names of the embedding and of the first layer's router. Errors: FORMAT (no embedding). */
enum bise_status naming_of(const struct raw_set *set, const char *where, enum naming *naming,
                           struct bise_error *err);
/* Whether a tensor that the config does not ask for may be left out (RoPE's tables, the head of
 * tied embeddings, what sees pictures). A bias, anything else of a layer, or GGUF's factors of
 * RoPE's frequencies would mean another architecture. */
bool may_ignore(const char *origin);

#endif
