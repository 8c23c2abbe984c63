/* The forward pass: tokens in, logits out. It never hears of sampling. */
#ifndef BISE_SRC_ENGINE_FORWARD_H
#define BISE_SRC_ENGINE_FORWARD_H

#include "src/engine/session.h"

/* What logits a pass is to leave. */
enum want { WANT_NONE, WANT_LAST, WANT_ALL };

/* Runs n <= chunk ids at the session's position through the model and the cache, and moves the
 * position on. WANT_LAST: the last token's logits in b.logits; WANT_ALL: also all in all
 * [n][vocab_size]. Errors: NONFINITE, naming layer and position; the position then stays. */
enum bise_status forward(struct bise_session *s, const int32_t *ids, size_t n, bool prefill,
                         enum want want, float *all, struct bise_error *err);

/* The layers alone, in prefill arithmetic: states [n][dim], n <= chunk, is the residual stream
 * before them and becomes that behind them. Errors: NONFINITE. */
enum bise_status forward_layers(struct bise_session *s, float *states, size_t n,
                                struct bise_error *err);

#endif
