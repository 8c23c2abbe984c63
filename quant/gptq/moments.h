/* Sums of squares while a session runs; they become a struct stats. */
#ifndef BISE_QUANT_GPTQ_MOMENTS_H
#define BISE_QUANT_GPTQ_MOMENTS_H

#include "quant/gptq/stats.h"

struct moments {
    const struct model_config *config;
    struct stats stats; /* counts; moments once taken */
    double **sums;      /* [stats.n] of [cols] */
    struct observer observer;
};

/* For a model of this config, which must outlive m. m->observer is to be set on its sessions; m
 * must not be moved. Errors: MEMORY. */
enum bise_status moments_open(struct moments *m, const struct model_config *config,
                              struct bise_error *err);
/* Nothing was seen. */
void moments_reset(struct moments *m);
void moments_close(struct moments *m);
/* The means so far, owned by m. */
const struct stats *moments_take(struct moments *m);

#endif
