/* A source as a model that runs: the baseline of measurements while a file is made. */
#ifndef BISE_QUANT_REFERENCE_H
#define BISE_QUANT_REFERENCE_H

#include "quant/bundle.h"
#include "src/model/model.h"

struct reference {
    struct bise_model *model; /* what the .bise file holds that is the source, or as asked for */
};

/* source_path: where the source was opened. Unless that is a .bise file, a temporary file of type
 * is made beside `beside` and removed at once, its disk space when the reference is closed.
 * The listener is only asked whether to stop.
 * Errors: as convert_all, writer_open and bise_model_open. */
enum bise_status reference_open(struct reference *r, const struct source *source,
                                const char *source_path, const struct model_config *config,
                                const struct bundle *tokenizer, const char *beside,
                                enum tensor_type type, int n_threads,
                                const struct listener *listener, struct bise_error *err);
/* Disk space that takes in bf16, 0 for a .bise file. */
uint64_t reference_bytes(const struct model_config *config, const char *source_path);
void reference_close(struct reference *r);

#endif
