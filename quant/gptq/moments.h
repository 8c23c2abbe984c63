/* Second moments of what a model's matrices read: for every input of every layer the mean of x^2 in
 * each column. They say what an error in a column of weights costs. In files: docs/format.md. */
#ifndef BISE_QUANT_GPTQ_MOMENTS_H
#define BISE_QUANT_GPTQ_MOMENTS_H

#include "src/engine/observe.h"
#include "src/model/config.h"

#define MOMENTS_MAGIC   "BISESTA\n" /* 8 bytes */
#define MOMENTS_VERSION 1u
#define MOMENTS_HEADER  64u /* bytes before the table */
#define MOMENTS_ENTRY   80u /* of the table */
/* Fewer vectors than this tell too little: such an input counts as not seen. */
#define MOMENTS_LEAST 64u

/* One input, under the name of the first matrix that reads it. */
struct input_moments {
    char name[64];
    uint32_t cols;
    uint64_t count; /* vectors seen */
    float *squares; /* [cols] means of x^2: finite, not negative */
};

struct moments {
    struct input_moments *entries;
    size_t n;
};

/* All inputs of a model of this config, none seen yet, in the order layer, input, expert. Errors:
 * MEMORY. */
enum bise_status moments_open(struct moments *s, const struct model_config *config,
                              struct bise_error *err);
void moments_close(struct moments *s);
/* Place in entries of an input. */
size_t moments_index(const struct model_config *config, size_t layer, enum input input,
                     size_t expert);
/* The input that a matrix reads, seen or not; NULL if there is none of that name. */
const struct input_moments *moments_find(const struct moments *s, const char *matrix);

/* What errors in the columns of a matrix cost, [cols]; NULL where that is not known: s NULL, no
 * such input, or seen too rarely. */
const float *moments_weights(const struct moments *s, const char *matrix);

/* Sums of squares while a session runs. */
struct moment_sums {
    const struct model_config *config;
    struct moments means; /* counts; squares once taken */
    double **sums;        /* [means.n] of [cols] */
    struct observer observer;
};

/* For a model of this config, which must outlive m. m->observer is to be set on its sessions; m
 * must not be moved. Errors: MEMORY. */
enum bise_status moment_sums_open(struct moment_sums *m, const struct model_config *config,
                                  struct bise_error *err);
/* Nothing was seen. */
void moment_sums_reset(struct moment_sums *m);
void moment_sums_close(struct moment_sums *m);
/* The means so far, owned by m. */
const struct moments *moment_sums_take(struct moment_sums *m);

/* Whether these are a model's: every input there with its width, nothing else. path: for messages.
 * Errors: FORMAT. */
enum bise_status moments_check(const struct moments *s, const struct model_config *config,
                               const char *path, struct bise_error *err);
/* A file's bytes, or a file, whatever model it is of; nothing in it is trusted. Errors: IO, FORMAT,
 * UNSUPPORTED (later version), MEMORY. */
enum bise_status moments_decode(struct moments *s, const uint8_t *data, size_t len,
                                const char *path, struct bise_error *err);
enum bise_status moments_read(struct moments *s, const char *path, struct bise_error *err);
/* Written beside, then renamed. Errors: IO, DISK, MEMORY. */
enum bise_status moments_write(const struct moments *s, const char *path, struct bise_error *err);

#endif
