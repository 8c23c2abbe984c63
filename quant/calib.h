/* The options of bise quantize that make it look at what the model reads: statistics, a text, or
 * what the model writes itself. */
#ifndef BISE_QUANT_CALIB_H
#define BISE_QUANT_CALIB_H

#include "quant/bundle.h"
#include "quant/calibration.h"
#include "quant/convert.h"

struct calib_options {
    const char *stats, *text; /* NULL: none */
    int64_t self, tokens;     /* 0: none, chosen */
};

struct calib {
    struct stats stats;        /* n 0: none */
    struct calibration tokens; /* ids NULL: none */
};

/* The source and its path, the model's config and tokenizer, and where a temporary model may go
 * (--calib-self runs one in i8). */
struct calib_source {
    const struct source *source;
    const char *path, *beside;
    const struct model_config *config;
    const struct bundle *tokenizer;
    const struct listener *listener;
    int n_threads;
    bool dry_run; /* nothing is to be run: tokens of the model's own are left out */
};

/* Reads what the options name. calib_close is due in any case. Errors: ARG, those of stats_read,
 * bundle_tokenize, reference_open and calibration_write. */
enum bise_status calib_open(struct calib *c, const struct calib_options *o,
                            const struct calib_source *from, struct bise_error *err);
void calib_close(struct calib *c);
/* The statistics of --calib, NULL if there are none yet. */
const struct stats *calib_stats(const struct calib *c);
/* A number for what all that is read from files, and written by the model, says. */
uint64_t calib_identity(const struct calib *c);
/* Bytes of memory that calib_convert takes, about. */
uint64_t calib_memory(const struct calib *c, const struct model_config *config, int n_threads);
/* With tokens: writes the i4 matrices of layers with error feedback. Sets to->stats for
 * convert_all. n_tensors: the length of to->tensors. Errors: those of convert_layers. */
enum bise_status calib_convert(struct calib *c, struct convert *to, size_t n_tensors,
                               struct bise_error *err);
/* In words, for the recipe; "" without calibration. feedback: whether one is rounded with it. */
void calib_describe(const struct calib *c, const struct calib_options *o, bool feedback, char *out,
                    size_t cap);

#endif
