/* The tokens that calibration runs on: a text, or what a model writes by itself. */
#ifndef BISE_QUANT_CALIBRATION_H
#define BISE_QUANT_CALIBRATION_H

#include "quant/base/listener.h"
#include "quant/gptq/moments.h"

/* Tokens of one sequence where nothing else is asked for, and of all of them. */
#define CALIBRATION_LENGTH 512
#define CALIBRATION_TOKENS 16384

/* Tokens, one text after another, without BOS. */
struct calibration {
    int32_t *ids; /* [n], owned */
    size_t n;
    size_t length; /* tokens of a sequence, BOS included */
    int32_t bos;   /* -1: none */
};

/* Ids, cut into pieces, each behind a BOS: number of whole sequences, and sequence i into
 * ids [length]. */
size_t calibration_sequences(const struct calibration *c);
void calibration_sequence(const struct calibration *c, size_t i, int32_t *ids);
void calibration_close(struct calibration *c);

/* Fills c->ids with n tokens that the model writes: text after text from BOS at temperature 1, each
 * with a seed of its own, until it ends or is as long as a sequence. The session is reset. Errors:
 * NONFINITE, INTERRUPTED, MEMORY. */
enum bise_status calibration_write(struct calibration *c, struct bise_session *session,
                                   const struct bise_model_info *info, size_t n,
                                   const struct listener *listener, struct bise_error *err);
/* Runs all sequences through a session of at least that many positions. Errors: NONFINITE,
 * INTERRUPTED, MEMORY. */
enum bise_status calibration_run(const struct calibration *c, struct bise_session *session,
                                 const struct listener *listener, struct bise_error *err);
/* Notes which inputs were seen too rarely to tell anything; returns their number. */
size_t calibration_report(const struct stats *s, const struct listener *listener);

#endif
