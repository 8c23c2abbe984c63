/* A source as a model that runs: the baseline of measurements while a file is made. */
#ifndef BISE_QUANT_REFERENCE_H
#define BISE_QUANT_REFERENCE_H

#include "quant/base/listener.h"
#include "quant/bundle.h"
#include "src/model/model.h"

/* What a .bise file is made from, and by what. */
struct origin {
    const struct source *source;
    const char *path;                  /* of the source */
    const char *out;                   /* of the file; a temporary model goes beside it */
    const struct model_config *config; /* of the file */
    const struct bundle *tokenizer;
    const struct listener *listener;
    int n_threads;
    bool dry_run; /* nothing is to be run or written */
};

/* The source itself where it is a .bise file, else a file of that type without a name, on the disk
 * of the output: gone when the model is closed, or the process ends however.
 * Errors: as convert_all, writer_open and bise_model_open. */
enum bise_status reference_open(struct bise_model **model, const struct origin *from,
                                enum tensor_type type, struct bise_error *err);
/* Disk space that takes in bf16, 0 for a .bise file. */
uint64_t reference_bytes(const struct origin *from);

#endif
