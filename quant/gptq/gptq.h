/* Rounding the rows of a matrix to i4 with error feedback (quant/round/feedback.h). */
#ifndef BISE_QUANT_GPTQ_GPTQ_H
#define BISE_QUANT_GPTQ_GPTQ_H

#include "quant/gptq/hessian.h"
#include "quant/round/feedback.h"

#define GPTQ_ROWS 128 /* of a task */

/* What the tasks of a matrix share. */
struct gptq {
    const struct hessian *hessian; /* factored */
    const struct kernels *kernels;
    struct feedback *feedback;
    const float *weights; /* [cols], for what rounding cost; may be NULL */
};

/* The hessian and the kernels must outlive it. Errors: MEMORY. */
enum bise_status gptq_open(struct gptq *g, const struct hessian *factored,
                           const struct kernels *kernels, const int8_t *codebook,
                           const float *weights, struct bise_error *err);
void gptq_close(struct gptq *g);

/* Bytes of work memory, 64-byte aligned, of one task of a matrix of cols columns. */
size_t gptq_work_bytes(size_t cols);
/* Rounds rows [n_rows][cols], at most GPTQ_ROWS of them, into panels; adds what that cost. Safe
 * from several threads. */
void gptq_round(const struct gptq *g, uint8_t *panels, const float *rows, size_t n_rows, void *work,
                struct rounding_sums *sums);

#endif
