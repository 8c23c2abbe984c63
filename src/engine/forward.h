/* The forward pass: tokens in, logits out. It never hears of sampling. */
#ifndef BISE_SRC_ENGINE_FORWARD_H
#define BISE_SRC_ENGINE_FORWARD_H

#include "src/engine/pass.h"

/* Runs the pass's columns through the model and the caches; what their runs want of logits is
 * written to where each run says. A run that meets a value that is not finite has failed: its
 * columns go on as zeros, the other runs as if it were not there. Only the sequences' caches are
 * changed, at the columns' positions. False if the pool was stopped: nothing of it counts. */
bool forward(struct pass *p);

/* The layers alone, whatever the runs want: b.x [n] holds the residual stream behind them. */
bool forward_layers(struct pass *p);

#endif
