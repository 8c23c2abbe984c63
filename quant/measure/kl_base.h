/*
 * What a baseline model predicts for a text, in a file (docs/format.md, "Baselines"): the ids that
 * were run and, for every position that predicts, its logits in 16 bits. Written by
 * bise perplexity --kl-base, read by --kl.
 */
#ifndef BISE_QUANT_MEASURE_KL_BASE_H
#define BISE_QUANT_MEASURE_KL_BASE_H

#include "src/base/error.h"

#define KL_BASE_MAGIC   "BISEKL\n\x1a" /* 8 bytes */
#define KL_BASE_VERSION 1u
#define KL_BASE_HEADER  256u
#define KL_BASE_TEXT    192u /* bytes for the model's name, a NUL among them */

/* Windows of ids, each run from an empty cache. */
struct eval_shape {
    uint64_t n_windows;
    uint32_t vocab;
    uint32_t window; /* ids of a window; the last is only predicted */
    uint32_t run;    /* how many of them are run: window or window - 1 */
    uint32_t first;  /* position in the window whose logits are the first to count */
};

/* Positions of a window that count. */
static inline uint32_t eval_predicted(const struct eval_shape *s) {
    return s->window - 1 - s->first;
}

struct kl_base;

/* ids [n_windows][window]; model says what runs. Errors: IO, DISK, MEMORY, ARG (too large). */
enum bise_status kl_base_create(struct kl_base **out, const char *path,
                                const struct eval_shape *shape, const int32_t *ids,
                                const char *model, struct bise_error *err);
/* The logits [vocab] of the next position that counts, window by window. Errors: IO, DISK. */
enum bise_status kl_base_put(struct kl_base *b, const float *logits, struct bise_error *err);
/* After the last position: the file gets its name. kl_base_close is due all the same. */
enum bise_status kl_base_finish(struct kl_base *b, struct bise_error *err);

/* Everything in the header and the ids is checked, and the file's length against them.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status kl_base_open(struct kl_base **out, const char *path, struct bise_error *err);
const struct eval_shape *kl_base_shape(const struct kl_base *b);
const int32_t *kl_base_ids(const struct kl_base *b);
/* What ran, NUL-terminated, without control characters. */
const char *kl_base_model(const struct kl_base *b);
/* The next logits [vocab], up to a constant; a damaged one is found at the end of its window.
 * Errors: IO, FORMAT, ARG (there are no more). */
enum bise_status kl_base_next(struct kl_base *b, float *logits, struct bise_error *err);

/* Removes what was being written and is not finished. Accepts NULL and a pointer to NULL. */
void kl_base_close(struct kl_base **b);

#endif
