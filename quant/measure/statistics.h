/* What a model's predictions are worth, and how far they are from a baseline's: means with their
 * standard errors, positions taken as independent. All in nats. */
#ifndef BISE_QUANT_MEASURE_STATISTICS_H
#define BISE_QUANT_MEASURE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally {
    double sum, sum2;
    uint64_t n;
};

struct estimate {
    double value, error; /* error: standard error; 0 where there are too few */
};

void tally_add(struct tally *m, double x);
struct estimate tally_mean(const struct tally *m);

/* What makes probabilities of logits [vocab]: that of id is exp(logits[id] - log_sum). */
struct softmax {
    const float *logits;
    size_t vocab, top; /* top: the likeliest id, the lowest of equals */
    double log_sum;    /* log of the sum of exp(logits) */
};

struct softmax softmax_of(const float *logits, size_t vocab);
/* Log of the probability of id; and its negative. */
double softmax_log(const struct softmax *s, int32_t id);
double softmax_nll(const struct softmax *s, int32_t id);
/* The n likeliest ids, the lowest of equals first, into ids [n]; returns how many there are. */
size_t softmax_likeliest(const struct softmax *s, size_t n, int32_t *ids);

/* Divergences of position after position. */
struct divergence {
    float *kl; /* [cap] */
    size_t n, cap;
    struct tally mean, nll; /* of kl; of nll - the baseline's nll */
    uint64_t n_same_top;
};

/* Room for n positions; false if there is no memory. */
bool divergence_init(struct divergence *d, size_t n);
void divergence_free(struct divergence *d);
/* The baseline and the model at one position, and the id that follows. At most n times. Adds
 * KL(base || model); the logits of both may be off by a constant. */
void divergence_add(struct divergence *d, const struct softmax *base, const struct softmax *model,
                    int32_t next);

struct divergence_result {
    struct estimate mean, p99; /* KL divergence: mean and 99th percentile */
    struct estimate same_top;  /* share of positions with the same likeliest id */
    struct estimate log_ratio; /* ln(perplexity / the baseline's), paired */
};

/* Sorts d->kl. */
struct divergence_result divergence_summary(struct divergence *d);

#endif
