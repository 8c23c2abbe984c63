/* Random models: of any shape and size, written as fast as the disk takes them. */
#ifndef BISE_TOOLS_CMD_SYNTH_H
#define BISE_TOOLS_CMD_SYNTH_H

#include "kernels/layout.h"
#include "src/base/random.h"
#include "src/model/config.h"
#include "tools/common/progress.h"

#define SYNTH_TABLE 4096

struct synth {
    struct model_config config;
    enum tensor_type type; /* of a .bise file's matrices */
    uint64_t seed;
    int n_threads;
    float normal[SYNTH_TABLE]; /* magnitudes of a heavy-tailed variate of unit variance */
    struct progress progress;
};

/* "mistral-7b" and the like, then or instead KEY=VALUE, separated by commas. */
enum bise_status synth_parse_shape(struct model_config *c, const char *text,
                                   struct bise_error *err);
void synth_init_table(struct synth *s);

/* n random floats of standard deviation std around mean. */
void synth_floats(float *out, size_t n, const float *table, float mean, float std,
                  struct random_state *r);
/* The same as bf16. */
void synth_bf16(uint16_t *out, size_t n, const float *table, float mean, float std,
                struct random_state *r);
/* A stream of its own for every piece of every tensor: which thread makes it does not matter. */
struct random_state synth_stream(const struct synth *s, size_t tensor, size_t piece);
/* Standard deviation of a matrix's weights: 1 for the embedding, else 1/sqrt(cols). */
float synth_std(const char *name, uint32_t cols);

/* Writes PATH. */
enum bise_status synth_write_bise(struct synth *s, const char *path, struct bise_error *err);
/* The same without a name, opened: gone when *model is closed. path: beside which it is written. */
enum bise_status synth_open_bise(struct synth *s, const char *path, struct bise_model **model,
                                 struct bise_error *err);
/* Writes config.json, model-0000X-of-0000Y.safetensors (bf16) and their index into a new folder. */
enum bise_status synth_write_checkpoint(struct synth *s, const char *folder,
                                        struct bise_error *err);

#endif
