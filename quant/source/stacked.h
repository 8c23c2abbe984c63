/* Mixtures whose experts of a layer are one tensor. Internal to quant/source. NAMING_STACKED,
 * the first upload of Mixtral, consolidated.00.pt to .07.pt: block_sparse_moe.w1, w2 and w3,
 * each [n_experts * ffn_dim][dim], w2 transposed. NAMING_FUSED, transformers 5:
 * mlp.experts.gate_up_proj [n_experts][2 * ffn_dim][dim], w1 before w3, and down_proj
 * [n_experts][dim][ffn_dim]. */
#ifndef BISE_QUANT_SOURCE_STACKED_H
#define BISE_QUANT_SOURCE_STACKED_H

#include "quant/source/source_impl.h"

/* The raw tensor of an expert's matrix [n_rows][n_cols], called `name` in model.h: a part of the
 * whole it stands in. Errors: FORMAT (no such whole, or of another shape), UNSUPPORTED. */
enum bise_status stacked_part(const struct source *s, const char *name, uint32_t n_rows,
                              uint32_t n_cols, struct raw_tensor *part, struct bise_error *err);
/* Whether name is that of an expert's matrix in model.h. */
bool is_expert(const char *name);

#endif
