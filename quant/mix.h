/* Mixed precision: which matrices of the layers become i8 so that a file takes so many bits. */
#ifndef BISE_QUANT_MIX_H
#define BISE_QUANT_MIX_H

#include "quant/gptq/moments.h"
#include "quant/reference.h"
#include "quant/types.h"

/* Matrices that are chosen together: one, or the same one of all experts of a layer. */
struct mix_unit {
    char name[64]; /* experts as '*' */
    uint64_t n_weights;
    double loss; /* about what i4 costs, in units that compare units */
    bool chosen;
};

#define MIX_NONE SIZE_MAX

struct mix {
    size_t *unit_of; /* [n_tensors] index in units; MIX_NONE: not to be chosen */
    struct mix_unit *units;
    size_t n_units, n_tensors;
    struct writer_tensor *tensors; /* the caller's */
};

/* Every i4 matrix of a layer that --tensor did not name. mix_close is due in any case. */
enum bise_status mix_open(struct mix *m, const struct types *t, struct writer_tensor *tensors,
                          size_t n, struct bise_error *err);
void mix_close(struct mix *m);
/* Without a text: loss by what kinds and places of matrices lose in general, and by the relative
 * error of a sample of each, weighted by moments (may be NULL).
 * Errors: as source_read_rows, MEMORY. */
enum bise_status mix_guess(struct mix *m, const struct source *source,
                           const struct moments *moments, struct bise_error *err);
/* Chooses units of the greatest loss for their weights as long as the layers' matrices stay within
 * bits for each weight, and sets their types. Bits are those of codes and block scales, 4.25 for i4
 * and 8.25 for i8; row scales (32 bits a row) and padding come on top. Errors: MEMORY. */
enum bise_status mix_choose(struct mix *m, double bits, struct bise_error *err);
/* All of it, for --bits: nothing where none were asked for. sensitivity: a text to measure losses
 * on (guessed in a dry run), NULL: guessed. Notes what was chosen. Errors: ARG, those of mix_guess,
 * bundle_tokenize, reference_open and sensitivity_measure. */
enum bise_status mix_apply(const struct types *t, const char *sensitivity,
                           const struct origin *from, const struct moments *moments,
                           struct writer_tensor *tensors, size_t n, struct bise_error *err);

#endif
