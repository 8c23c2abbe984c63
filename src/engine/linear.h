/* Matrices times activations, on the pool. */
#ifndef BISE_SRC_ENGINE_LINEAR_H
#define BISE_SRC_ENGINE_LINEAR_H

#include "src/engine/buffers.h"

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Quantizes elements [at, at + len) of vector i from x [len] into the forms asked for (f: copied).
 * at and len: multiples of TILE_K. False if x is not finite (f is not looked at). */
bool act_put(const struct kernels *k, struct act *act, size_t i, size_t at, size_t len,
             const float *x, unsigned forms);

/* y [n][ldy], panels p0..p1-1 of t (panel p0 at y[c][0]) times vectors first .. first + n - 1. */
void linear_panels(const struct pass *p, float *y, size_t ldy, const struct act *x, size_t first,
                   size_t n, const struct tensor *t, size_t p0, size_t p1, void *scratch);

/* Up to 3 matrices of one input; y[i] [n][ldy[i]]. One region. */
struct linear {
    const struct tensor *w[3];
    float *y[3];
    size_t ldy[3];
    size_t n_matrices;
};
void linear_run(struct pass *p, const struct linear *job, const struct act *x);

/* x += w * act, for the residual stream. One region. */
void linear_add(struct pass *p, const struct tensor *w, const struct act *act);

/* Forms wanted by matrices w[n]. */
unsigned forms_of(const struct tensor *const *w, size_t n);

/* Panels of a matrix that one task computes, and the number of such tasks. */
size_t task_panels(const struct pass *p);
size_t panel_count(const struct tensor *t);

#endif
