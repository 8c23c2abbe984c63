#include "quant/measure/statistics.h"

#include "kernels/dmath.h"

#include <math.h>
#include <stdlib.h>

void tally_add(struct tally *m, double x) {
    m->sum += x;
    m->sum2 += x * x;
    m->n++;
}

struct estimate tally_mean(const struct tally *m) {
    if (m->n == 0)
        return (struct estimate){0, 0};
    const double n = (double)m->n, mean = m->sum / n, variance = m->sum2 / n - mean * mean;
    return (struct estimate){mean, m->n > 1 && variance > 0 ? sqrt(variance / (n - 1)) : 0};
}

struct softmax softmax_of(const float *logits, size_t vocab) {
    size_t top = 0;
    double sum = 0;
    for (size_t i = 1; i < vocab; i++)
        top = logits[i] > logits[top] ? i : top;
    const double max = (double)logits[top];
    for (size_t i = 0; i < vocab; i++)
        sum += exp64((double)logits[i] - max);
    return (struct softmax){logits, vocab, top, max + log64(sum)};
}

double softmax_log(const struct softmax *s, int32_t id) {
    return (double)s->logits[id] - s->log_sum;
}

double softmax_nll(const struct softmax *s, int32_t id) {
    return s->log_sum - (double)s->logits[id];
}

size_t softmax_likeliest(const struct softmax *s, size_t n, int32_t *ids) {
    const float *const logits = s->logits;
    size_t found = 0;
    for (size_t i = 0; i < s->vocab && n > 0; i++) {
        if (found == n && logits[i] <= logits[ids[n - 1]])
            continue;
        size_t at = found < n ? found++ : n - 1;
        for (; at > 0 && logits[i] > logits[ids[at - 1]]; at--)
            ids[at] = ids[at - 1];
        ids[at] = (int32_t)i;
    }
    return found;
}

bool divergence_init(struct divergence *d, size_t n) {
    *d = (struct divergence){.cap = n};
    d->kl = malloc((n ? n : 1) * sizeof *d->kl);
    return d->kl != NULL;
}

void divergence_free(struct divergence *d) {
    free(d->kl);
    *d = (struct divergence){0};
}

void divergence_add(struct divergence *d, const struct softmax *base, const struct softmax *model,
                    int32_t next) {
    double kl = 0;
    for (size_t i = 0; i < base->vocab; i++) {
        const double log_p = (double)base->logits[i] - base->log_sum;
        kl += exp64(log_p) * (log_p - ((double)model->logits[i] - model->log_sum));
    }
    if (d->n < d->cap)
        d->kl[d->n++] = (float)kl;
    tally_add(&d->mean, kl);
    tally_add(&d->nll, softmax_nll(model, next) - softmax_nll(base, next));
    d->n_same_top += base->top == model->top;
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of sorted values: the quantile, and half of what lies between the ranks one standard error of its
 * rank (binomial) below and above. */
static struct estimate quantile(const float *sorted, size_t n, double share) {
    const double last = (double)n - 1, rank = share * last;
    const double spread = sqrt((double)n * share * (1 - share));
    const double low = rank - spread < 0 ? 0 : rank - spread;
    const double high = rank + spread > last ? last : rank + spread;
    return (struct estimate){
        (double)sorted[(size_t)(rank + 0.5)],
        ((double)sorted[(size_t)(high + 0.5)] - (double)sorted[(size_t)(low + 0.5)]) / 2};
}

struct divergence_result divergence_summary(struct divergence *d) {
    struct divergence_result r = {.mean = tally_mean(&d->mean), .log_ratio = tally_mean(&d->nll)};
    if (d->n == 0)
        return r;
    const double n = (double)d->n, share = (double)d->n_same_top / n;
    qsort(d->kl, d->n, sizeof *d->kl, ascending);
    r.p99 = quantile(d->kl, d->n, 0.99);
    r.same_top = (struct estimate){share, d->n > 1 ? sqrt(share * (1 - share) / (n - 1)) : 0};
    return r;
}
