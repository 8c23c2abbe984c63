/* One layer of a checkpoint as a model in memory, in i8: so that calibration runs on sources of any
 * size, layer by layer. */
#ifndef BISE_QUANT_LAYER_MODEL_H
#define BISE_QUANT_LAYER_MODEL_H

#include "quant/source/source.h"
#include "src/engine/session.h"

struct layer_model;

/* A session of it takes sequences of up to n_ctx tokens, in chunks of at most chunk. The source
 * must outlive it. Errors: MEMORY. */
enum bise_status layer_model_open(struct layer_model **out, const struct source *source,
                                  int n_threads, uint32_t n_ctx, uint32_t chunk,
                                  struct bise_error *err);
void layer_model_close(struct layer_model **m);
/* Takes in the weights of a layer. Errors: those of source_read_rows. */
enum bise_status layer_model_load(struct layer_model *m, size_t layer, struct bise_error *err);
/* Of one layer; only engine_layers (engine.h) may run it. */
struct bise_session *layer_model_session(struct layer_model *m);
const struct model_config *layer_model_config(const struct layer_model *m);

#endif
