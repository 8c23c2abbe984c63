/*
 * From logits to a token. Weights are doubles from our own exp (kernels/dmath.h), every sum has one
 * order, and equal keys are ordered by id: the same pick on every machine.
 *
 * The candidates are one array. Selections (top-k, top-p, typical) make it a heap and take out the
 * best until they have enough, so that nothing is sorted beyond what is kept: what was taken lies
 * at the array's end, the best last.
 */
#include "kernels/dmath.h"
#include "src/base/error.h"
#include "src/base/float_mode.h"
#include "src/base/random.h"
#include "src/model/config.h"
#include "src/os/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECENT (1u << 20)

struct candidate {
    double weight; /* probability, not normalized: exp(score - best score) */
    float key;     /* what the selection orders by */
    int32_t id;
};

struct bise_sampler {
    struct bise_sampler_params params; /* its bias is the caller's and not used */
    struct bise_logit_bias *bias;      /* [n_bias] */
    uint32_t n_vocab;
    float *scores;                /* [n_vocab] logits with bias and penalties */
    uint32_t *counts;             /* [n_vocab] how often each id was seen; zeros between calls */
    struct candidate *candidates; /* [n_vocab] */
};

/* ---- opening ---- */

static bool in_range(float x, float lo, float hi) {
    return x >= lo && x <= hi; /* false for a NaN */
}

static enum bise_status check_params(const struct bise_sampler_params *p, uint32_t n_vocab,
                                     struct bise_error *err) {
    const struct {
        const char *name;
        float value, lo, hi;
    } ranges[] = {
        {"temp", p->temp, 0, 1e6f},
        {"typical_p", p->typical_p, 0, 1},
        {"top_p", p->top_p, 0, 1},
        {"min_p", p->min_p, 0, 1},
        {"repeat_penalty", p->repeat_penalty, 0, 1e6f},
        {"frequency_penalty", p->frequency_penalty, -1e6f, 1e6f},
        {"presence_penalty", p->presence_penalty, -1e6f, 1e6f},
        {"repeat_last", (float)p->repeat_last, 0, MAX_RECENT},
        {"n_vocab", (float)n_vocab, 1, MAX_VOCAB},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (!in_range(ranges[i].value, ranges[i].lo, ranges[i].hi))
            return bise_fail(err, BISE_ERR_ARG, "sampler: %s: expected %g to %g, found %g",
                             ranges[i].name, (double)ranges[i].lo, (double)ranges[i].hi,
                             (double)ranges[i].value);
    for (size_t i = 0; i < p->n_bias; i++) {
        if (p->bias[i].id < 0 || (uint32_t)p->bias[i].id >= n_vocab)
            return bise_fail(err, BISE_ERR_ARG,
                             "sampler: logit bias: expected an id below %u, "
                             "found %d",
                             n_vocab, p->bias[i].id);
        if (!(p->bias[i].bias < INFINITY))
            return bise_fail(err, BISE_ERR_ARG,
                             "sampler: logit bias of id %d: expected a number or -inf",
                             p->bias[i].id);
    }
    return BISE_OK;
}

static bool take_memory(struct bise_sampler *s) {
    const struct bise_sampler_params *p = &s->params;
    s->scores = mem_alloc(s->n_vocab * sizeof *s->scores);
    s->counts = mem_alloc(s->n_vocab * sizeof *s->counts);
    s->candidates = mem_alloc(s->n_vocab * sizeof *s->candidates);
    if (!s->scores || !s->counts || !s->candidates)
        return false;
    if (p->n_bias && !(s->bias = calloc(p->n_bias, sizeof *s->bias)))
        return false;
    if (p->n_bias)
        memcpy(s->bias, p->bias, p->n_bias * sizeof *s->bias);
    return true;
}

enum bise_status bise_sampler_open(struct bise_sampler **sampler, uint32_t n_vocab,
                                   const struct bise_sampler_params *params,
                                   struct bise_error *err) {
    *sampler = NULL;
    const enum bise_status status = check_params(params, n_vocab, err);
    if (status)
        return status;
    struct bise_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the sampler");
    s->params = *params;
    s->n_vocab = n_vocab;
    if (s->params.repeat_penalty == 0)
        s->params.repeat_penalty = 1;
    if (s->params.top_p == 0)
        s->params.top_p = 1;
    if (s->params.typical_p == 0)
        s->params.typical_p = 1;
    if (!take_memory(s)) {
        bise_sampler_close(&s);
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a sampler of %u ids", n_vocab);
    }
    *sampler = s;
    return BISE_OK;
}

void bise_sampler_close(struct bise_sampler **sampler) {
    if (!sampler || !*sampler)
        return;
    struct bise_sampler *s = *sampler;
    mem_free(s->scores, s->n_vocab * sizeof *s->scores);
    mem_free(s->counts, s->n_vocab * sizeof *s->counts);
    mem_free(s->candidates, s->n_vocab * sizeof *s->candidates);
    free(s->bias);
    free(s);
    *sampler = NULL;
}

void bise_sampler_set_seed(struct bise_sampler *s, uint64_t seed) {
    s->params.seed = seed;
}

uint64_t bise_sampler_seed(const struct bise_sampler *s) {
    return s->params.seed;
}

/* ---- scores ---- */

/* Counts ids [n], or takes the counts back. */
static void count(struct bise_sampler *s, const int32_t *ids, size_t n, uint32_t change) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && (uint32_t)ids[i] < s->n_vocab)
            s->counts[ids[i]] += change;
}

static float penalized(const struct bise_sampler_params *p, float score, uint32_t count) {
    score = score > 0 ? score / p->repeat_penalty : score * p->repeat_penalty;
    return score - (float)count * p->frequency_penalty - p->presence_penalty;
}

/* Fills scores; returns the id of the best, the lowest of equals. A NaN counts as -inf, and so does
 * what is not allowed. */
static int32_t score_all(struct bise_sampler *s, const float *logits, const uint8_t *allowed) {
    memcpy(s->scores, logits, s->n_vocab * sizeof *s->scores);
    for (size_t i = 0; i < s->params.n_bias; i++)
        s->scores[s->bias[i].id] += s->bias[i].bias;
    int32_t best = 0;
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        if (s->counts[i])
            s->scores[i] = penalized(&s->params, s->scores[i], s->counts[i]);
        if (s->scores[i] != s->scores[i] || (allowed && !allowed[i]))
            s->scores[i] = -INFINITY;
        if (s->scores[i] > s->scores[best])
            best = (int32_t)i;
    }
    return best;
}

/* ---- selections ---- */

static bool better(const struct candidate *a, const struct candidate *b) {
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static void sift_down(struct candidate *c, size_t n, size_t i) {
    const struct candidate moved = c[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && better(&c[child + 1], &c[child]))
            child++;
        if (!better(&c[child], &moved))
            break;
        c[i] = c[child];
        i = child;
    }
    c[i] = moved;
}

static double total_weight(const struct candidate *c, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += c[i].weight;
    return sum;
}

/* Keeps the best until there are k of them or their weights reach mass; at least one. Returns how
 * many; *c is moved to them. */
static size_t keep_best(struct candidate **c, size_t n, size_t k, double mass) {
    struct candidate *heap = *c;
    size_t left = n;
    double sum = 0;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
    while (left && n - left < k && (left == n || sum < mass)) {
        const struct candidate top = heap[0];
        heap[0] = heap[--left];
        heap[left] = top;
        sift_down(heap, left, 0);
        sum += top.weight;
    }
    *c = heap + left;
    return n - left;
}

/* Those whose information is nearest to the distribution's entropy, up to a share of the mass.
 * |-log p - H| is |mean - score|, mean = sum of p * score: the logarithm of the sum drops out. */
static size_t keep_typical(const struct bise_sampler *s, struct candidate **c, size_t n) {
    const double total = total_weight(*c, n);
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (*c)[i].weight / total * (double)s->scores[(*c)[i].id];
    for (size_t i = 0; i < n; i++)
        (*c)[i].key = (float)-fabs(mean - (double)s->scores[(*c)[i].id]);
    n = keep_best(c, n, n, (double)s->params.typical_p * total);
    for (size_t i = 0; i < n; i++)
        (*c)[i].key = s->scores[(*c)[i].id];
    return n;
}

static size_t keep_min_p(struct candidate *c, size_t n, float min_p) {
    double best = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        best = c[i].weight > best ? c[i].weight : best;
    for (size_t i = 0; i < n; i++)
        if (c[i].weight >= (double)min_p * best)
            c[kept++] = c[i];
    return kept;
}

/* ---- the draw ---- */

static int32_t draw_by_temperature(struct bise_sampler *s, struct candidate *c, size_t n,
                                   uint64_t position) {
    float best = c[0].key;
    for (size_t i = 1; i < n; i++)
        best = c[i].key > best ? c[i].key : best;
    for (size_t i = 0; i < n; i++)
        c[i].weight = exp64(((double)c[i].key - (double)best) / (double)s->params.temp);
    double left = random_unit_at(s->params.seed, position) * total_weight(c, n);
    size_t pick = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].weight > 0) /* rounding of the sum may carry the walk past the end */
            pick = i;
        left -= c[i].weight;
        if (left < 0)
            break;
    }
    return c[pick].id;
}

/* Fills candidates with all that are possible, or with the top_k of them; returns how many. As soon
 * as there are some times k, they are cut to the k best, and only what beats the worst of these
 * comes in later (not its equals: their ids are higher). */
static size_t gather(struct bise_sampler *s) {
    struct candidate *c = s->candidates;
    const size_t k = s->params.top_k ? s->params.top_k : s->n_vocab;
    const size_t room = k < s->n_vocab / 4 ? 4 * k : s->n_vocab;
    float floor = -INFINITY;
    size_t n = 0;
    for (uint32_t i = 0; i <= s->n_vocab; i++) {
        const bool end = i == s->n_vocab;
        if (n > k && (n == room || end)) {
            struct candidate *kept = c;
            n = keep_best(&kept, n, k, INFINITY);
            memmove(c, kept, n * sizeof *c);
            floor = c[0].key;
        }
        if (!end && s->scores[i] > floor)
            c[n++] = (struct candidate){.key = s->scores[i], .id = (int32_t)i};
    }
    return n;
}

static int32_t draw(struct bise_sampler *s, float best, uint64_t position) {
    const struct bise_sampler_params *p = &s->params;
    struct candidate *c = s->candidates;
    const bool weighed = p->typical_p < 1 || p->top_p < 1 || p->min_p > 0;
    size_t n = gather(s);
    for (size_t i = 0; weighed && i < n; i++)
        c[i].weight = exp64((double)c[i].key - (double)best);
    if (p->typical_p < 1)
        n = keep_typical(s, &c, n);
    if (p->top_p < 1)
        n = keep_best(&c, n, n, (double)p->top_p * total_weight(c, n));
    if (p->min_p > 0)
        n = keep_min_p(c, n, p->min_p);
    return draw_by_temperature(s, c, n, position);
}

/* n if there is none. */
static uint32_t first_allowed(const uint8_t *allowed, uint32_t n) {
    uint32_t id = 0;
    while (id < n && !allowed[id])
        id++;
    return id;
}

int32_t bise_sample(struct bise_sampler *s, const float *logits, const uint8_t *allowed,
                    const int32_t *ids, size_t n_ids, uint64_t position) {
    if (allowed && first_allowed(allowed, s->n_vocab) == s->n_vocab)
        return -1;
    const struct float_mode before = float_mode_begin();
    const size_t n = n_ids < s->params.repeat_last ? n_ids : s->params.repeat_last;
    const int32_t *const recent = n > 0 ? ids + (n_ids - n) : NULL;
    count(s, recent, n, 1);
    int32_t id = score_all(s, logits, allowed);
    count(s, recent, n, UINT32_MAX); /* less one */
    const float best = s->scores[id];
    if (s->params.temp > 0 && best > -INFINITY && best < INFINITY)
        id = draw(s, best, position);
    if (allowed && !allowed[id]) /* all that are have -inf, and the first is taken */
        id = (int32_t)first_allowed(allowed, s->n_vocab);
    float_mode_end(before);
    return id;
}
