/* Second moments of what a model's matrices read: for every input of every layer the mean of x^2 in
 * each column. They say what an error in a column of weights costs. In files: docs/format.md. */
#ifndef BISE_QUANT_GPTQ_STATS_H
#define BISE_QUANT_GPTQ_STATS_H

#include "src/engine/observe.h"
#include "src/model/config.h"

#define STATS_MAGIC   "BISESTA\n" /* 8 bytes */
#define STATS_VERSION 1u
#define STATS_HEADER  64u /* bytes before the table */
#define STATS_ENTRY   80u /* of the table */
/* Fewer vectors than this tell too little: such an input counts as not seen. */
#define STATS_LEAST 64u

/* One input, under the name of the first matrix that reads it. */
struct stats_entry {
    char name[64];
    uint32_t cols;
    uint64_t count; /* vectors seen */
    float *moments; /* [cols], finite, not negative */
};

struct stats {
    struct stats_entry *entries;
    size_t n;
};

/* All inputs of a model of this config, none seen yet, in the order layer, input, expert. Errors:
 * MEMORY. */
enum bise_status stats_open(struct stats *s, const struct model_config *config,
                            struct bise_error *err);
void stats_close(struct stats *s);
/* Place in entries of an input. */
size_t stats_index(const struct model_config *config, size_t layer, enum input input,
                   size_t expert);
/* The input that a matrix reads, seen or not; NULL if there is none of that name. */
const struct stats_entry *stats_find(const struct stats *s, const char *matrix);

/* What errors in the columns of a matrix cost, [cols]; NULL where that is not known: s NULL, no
 * such input, or seen too rarely. */
const float *stats_weights(const struct stats *s, const char *matrix);

/* Whether these are a model's: every input there with its width, nothing else. path: for messages.
 * Errors: FORMAT. */
enum bise_status stats_check(const struct stats *s, const struct model_config *config,
                             const char *path, struct bise_error *err);
/* A file's bytes, or a file, whatever model it is of; nothing in it is trusted. Errors: IO, FORMAT,
 * UNSUPPORTED (later version), MEMORY. */
enum bise_status stats_decode(struct stats *s, const uint8_t *data, size_t len, const char *path,
                              struct bise_error *err);
enum bise_status stats_read(struct stats *s, const char *path, struct bise_error *err);
/* Written beside, then renamed. Errors: IO, DISK, MEMORY. */
enum bise_status stats_write(const struct stats *s, const char *path, struct bise_error *err);

#endif
