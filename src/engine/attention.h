/* Attention over the rolling caches (GQA, arXiv 2305.13245; sliding window, arXiv 2004.05150). */
#ifndef BISE_SRC_ENGINE_ATTENTION_H
#define BISE_SRC_ENGINE_ATTENTION_H

#include "src/engine/pass.h"

/* Cuts what attention has to do for the pass's columns into tasks, for every layer until the
 * columns change. */
void attention_plan(struct pass *p);

/* b.att.f [n][n_heads * head_dim] from b.q and the caches, into which the pass's own keys and
 * values have been written. A query at i sees max(start, i - window + 1) .. i of its sequence. One
 * region, and three for each run whose one token sees so much that its heads alone would not keep
 * all threads busy. */
void attention(struct pass *p);

#endif
