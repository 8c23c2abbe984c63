/* From a checkpoint's tensors to those of a .bise file: the work of bise quantize. */
#ifndef BISE_QUANT_CONVERT_H
#define BISE_QUANT_CONVERT_H

#include "quant/base/listener.h"
#include "quant/gptq/moments.h"
#include "quant/round/quantize.h"
#include "quant/source/source.h"
#include "quant/write/writer.h"

struct convert {
    const struct source *source;
    const struct writer_tensor *tensors; /* [n_tensors], in the order of the source's */
    size_t n_tensors;
    struct writer *writer;
    const struct moments *moments; /* what columns matter; NULL: all alike */
    int n_threads;
    const char *name;                /* of the output, for the progress */
    const struct listener *listener; /* gets a detail for each tensor */
};

/* Reads, rounds and writes every tensor that is not there yet, with all threads; what it writes
 * does not depend on their number. Memory: some MB per thread. Errors: those of source_read_rows
 * and writer_put, MEMORY, INTERRUPTED. */
enum bise_status convert_all(const struct convert *c, struct bise_error *err);
/* The bytes it takes for that. */
uint64_t convert_memory(const struct convert *c);

/* codebook_default, or codebook_tails where a sample of the rows of tensor i is rounded clearly
 * better by it. weights: of its columns, or NULL. Errors: MEMORY, those of source_read_rows. */
enum bise_status choose_codebook(const int8_t **out, const struct source *source, size_t i,
                                 const float *weights, struct bise_error *err);
/* Tells the listener what stands in the columns of convert_done's details. */
void convert_heading(const struct listener *listener);
/* After the last byte of tensor i: its facts, of sums [n] added up in their order, go to the writer
 * and the listener. Errors: those of writer_tensor_done. */
enum bise_status convert_done(const struct convert *c, size_t i, const int8_t *codebook,
                              const struct rounding_sums *sums, size_t n, struct bise_error *err);

#endif
