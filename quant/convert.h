/* From a checkpoint's tensors to those of a .bise file: the work of bise quantize. */
#ifndef BISE_QUANT_CONVERT_H
#define BISE_QUANT_CONVERT_H

#include "kernels/layout.h"
#include "quant/base/listener.h"
#include "quant/gptq/stats.h"
#include "quant/source/source.h"
#include "quant/write/writer.h"

struct convert {
    const struct source *source;
    const struct writer_tensor *tensors; /* [n_tensors], in the order of the source's */
    struct writer *writer;
    const struct stats *stats; /* what columns matter; NULL: all alike */
    int n_threads;
    const char *name;                /* of the output, for the progress */
    const struct listener *listener; /* gets a detail for each tensor */
};

/* Reads, rounds and writes every tensor with all threads; what it writes does not depend on their
 * number. Memory: some MB per thread. Errors: those of source_read_rows and writer_put, MEMORY,
 * INTERRUPTED. */
enum bise_status convert_all(struct convert *c, struct bise_error *err);
/* The bytes it takes for that. */
uint64_t convert_memory(const struct convert *c, size_t n_tensors);

#endif
