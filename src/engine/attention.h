/* Attention over the rolling cache (GQA, arXiv 2305.13245; sliding window, arXiv 2004.05150). */
#ifndef BISE_SRC_ENGINE_ATTENTION_H
#define BISE_SRC_ENGINE_ATTENTION_H

#include "src/engine/session.h"

/* b.att.f [n][n_heads * head_dim] from b.q and the cache, into which the pass's own keys and values
 * have been written. A query at i sees max(start, i - window + 1) .. i. One region. */
void attention(struct pass *p);

#endif
