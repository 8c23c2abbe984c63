/* The feed-forward half of a layer: SwiGLU (arXiv 2002.05202), or Mixtral's experts (arXiv
 * 2401.04088) of which each token uses the best few by its router. */
#ifndef BISE_SRC_ENGINE_FFN_H
#define BISE_SRC_ENGINE_FFN_H

#include "src/engine/pass.h"
#include "src/model/model.h"

/* x += ffn(in), in: b.in in the forms of ffn_forms. */
void ffn(struct pass *p, const struct layer *w);

/* Forms that the layer's w1 and w3 and the router want of b.in in this pass. */
unsigned ffn_forms(const struct pass *p, const struct layer *w);

#endif
