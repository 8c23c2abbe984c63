/* Numbers of a running server, as Prometheus reads them. */
#ifndef BISE_TOOLS_SERVE_METRICS_H
#define BISE_TOOLS_SERVE_METRICS_H

#include "tools/common/buffer.h"

#include <stdatomic.h>

struct metrics {
    atomic_ulong requests[6]; /* by the hundreds of their status; [0]: none was sent */
    atomic_ulong prompt_tokens, cached_tokens, read_tokens, written_tokens, steps;
    atomic_ulong first_token_us, first_tokens; /* sum, and of how many */
    atomic_ulong step_us;
    atomic_ulong cancelled;
    atomic_size_t queued, busy, connections;
};

void metrics_print(const struct metrics *m, struct buffer *out);

#endif
