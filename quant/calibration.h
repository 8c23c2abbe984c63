/* What matrices read, as quantize is told: moments from a file, or a text that is run, or one that
 * the model writes itself. */
#ifndef BISE_QUANT_CALIBRATION_H
#define BISE_QUANT_CALIBRATION_H

#include "quant/gptq/moments.h"
#include "quant/reference.h"

/* ---- a text ---- */

/* Tokens of one sequence where nothing else is asked for, and of all of them. */
#define CALIBRATION_LENGTH 512
#define CALIBRATION_TOKENS 16384

/* Tokens, one text after another, without BOS. */
struct calibration_text {
    int32_t *ids; /* [n], owned; NULL: none */
    size_t n;
    size_t length; /* tokens of a sequence, BOS included */
    int32_t bos;   /* -1: none */
};

/* Ids, cut into pieces, each behind a BOS: number of whole sequences, and sequence i into
 * ids [length]. */
size_t text_sequences(const struct calibration_text *t);
void text_sequence(const struct calibration_text *t, size_t i, int32_t *ids);
void text_close(struct calibration_text *t);

/* Fills t->ids with n tokens that the model writes: text after text from BOS at temperature 1, each
 * with a seed of its own, until it ends or is as long as a sequence. The session is reset. Errors:
 * NONFINITE, INTERRUPTED, MEMORY. */
enum bise_status text_write(struct calibration_text *t, struct bise_session *session,
                            const struct bise_model_info *info, size_t n,
                            const struct listener *listener, struct bise_error *err);
/* Runs all sequences through a session of at least that many positions. Errors: NONFINITE,
 * INTERRUPTED, MEMORY. */
enum bise_status text_run(const struct calibration_text *t, struct bise_session *session,
                          const struct listener *listener, struct bise_error *err);

/* ---- what quantize is told ---- */

struct calibration_options {
    const char *file, *text; /* NULL: none */
    int64_t self, tokens;    /* 0: none, chosen */
};

struct calibration {
    struct moments moments;       /* n 0: none */
    struct calibration_text text; /* in a dry run only counted where the model is to write it */
};

/* Reads what the options name. calibration_close is due in any case. Errors: ARG, those of
 * moments_read, bundle_tokenize, reference_open and text_write. */
enum bise_status calibration_open(struct calibration *c, const struct calibration_options *o,
                                  const struct origin *from, struct bise_error *err);
void calibration_close(struct calibration *c);
/* NULL if there are none yet. */
const struct moments *calibration_moments(const struct calibration *c);
/* A number for what all that is read from files, and written by the model, says. */
uint64_t calibration_identity(const struct calibration *c);
/* In words, for the recipe; "" without calibration. feedback: whether one is rounded with it. */
void calibration_describe(const struct calibration *c, const struct calibration_options *o,
                          bool feedback, char *out, size_t cap);
/* Notes which inputs were seen too rarely to tell anything; returns their number. */
size_t moments_report(const struct moments *s, const struct listener *listener);

#endif
