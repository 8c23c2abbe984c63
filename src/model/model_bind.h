#ifndef BISE_SRC_MODEL_MODEL_BIND_H
#define BISE_SRC_MODEL_MODEL_BIND_H

#include "src/model/model.h"

/* Sets embed, norm, head and layers (and their storage, freed by model_unbind) from the tensors,
 * each found by name and checked for shape and type together. name: the file's, for messages.
 * Errors: FORMAT (missing, twice, unknown, another shape), MEMORY. */
enum bise_status model_bind(struct bise_model *m, const char *name, struct bise_error *err);
void model_unbind(struct bise_model *m);

#endif
