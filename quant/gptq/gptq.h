/* Rounding the rows of a matrix to i4 with error feedback (quant/round/feedback.h): full second
 * moments of the matrix's input, their factor, and rows rounded by it. Sums and products go through
 * the kernels' matmul of floats, so that results do not depend on instruction set or threads. */
#ifndef BISE_QUANT_GPTQ_GPTQ_H
#define BISE_QUANT_GPTQ_GPTQ_H

#include "quant/round/feedback.h"
#include "src/engine/observe.h"

/* Symmetric [k][k] in panels of 16 columns: element (i, j) at h[(j / 16 * k + i) * 16 + j % 16]. */
struct hessian {
    size_t cols, k; /* of the input; padded to TILE_K */
    uint64_t count; /* vectors summed up */
    float *h;       /* [k / 16][k][16]; the upper triangle, i <= j; NULL: closed */
    float *diag;    /* [k] once factored: D */
};

/* Memory that sums and factors need beside, for inputs of up to max_k columns (padded). */
struct hessian_work {
    const struct kernels *kernels;
    struct pool *pool;
    size_t max_k, bytes;
    uint8_t *memory;
    float *panels, *rows; /* [max_k / 16][T][16] and [max_k][T], T = HESSIAN_TOKENS */
    uint8_t *block;       /* of the diagonal, while it is factored */
    uint8_t *threads;     /* [n_threads] of thread_bytes: products, then the kernels' scratch */
    size_t thread_bytes;
};

#define HESSIAN_TOKENS 256 /* vectors summed up at once, at most: the longest chunk */

/* The kernels and the pool must outlive it. Errors: MEMORY. */
enum bise_status hessian_work_open(struct hessian_work *w, const struct kernels *kernels,
                                   struct pool *pool, size_t max_k, struct bise_error *err);
void hessian_work_close(struct hessian_work *w);

/* All zero. Errors: MEMORY. */
enum bise_status hessian_open(struct hessian *h, size_t cols, struct bise_error *err);
void hessian_close(struct hessian *h);
/* Bytes that one takes. */
size_t hessian_bytes(size_t cols);
/* Adds the vectors of o, at most HESSIAN_TOKENS. */
void hessian_add(struct hessian *h, const struct hessian_work *w, const struct observation *o);
/* h + damping = (I + U) D (I + U)^T: the strictly upper part of h becomes U, diag D. A hundredth of
 * the mean of the diagonal is added to it, more where that is not enough. False if h is zero or not
 * to be factored. */
bool hessian_factor(struct hessian *h, const struct hessian_work *w);

static inline float *hessian_at(const struct hessian *h, size_t i, size_t j) {
    return &h->h[(j / PANEL_ROWS * h->k + i) * PANEL_ROWS + j % PANEL_ROWS];
}

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
