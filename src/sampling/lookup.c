#include "src/sampling/lookup.h"

#define HIT_RATE  (1.0 / 16) /* of learning */
#define TIME_RATE (1.0 / 4)
#define FORGET    (1.0 / 256) /* what a call took that is not made any more */
#define SLOPE     0.1         /* what one more id is thought to cost, until it is known */
#define MARGIN    1.05        /* drafts must promise more than this */

void lookup_begin(struct lookup *l) {
    *l = (struct lookup){.hits = {0}};
    for (size_t m = 1; m <= LOOKUP_MATCH; m++)
        l->hits[m] = m == 1 ? 0.25 : m == 2 ? 0.5 : 0.75;
}

static size_t common_suffix(const int32_t *ids, size_t end, size_t n) {
    size_t len = 0;
    while (len < LOOKUP_MATCH && len < end && ids[end - 1 - len] == ids[n - 1 - len])
        len++;
    return len;
}

size_t lookup_find(const int32_t *ids, size_t n, int32_t *out, size_t max, size_t *match) {
    size_t best = 0, from = 0;
    for (size_t end = n; end-- > 1 && best < LOOKUP_MATCH;) {
        if (ids[end - 1] != ids[n - 1])
            continue;
        const size_t len = common_suffix(ids, end, n);
        if (len > best) {
            best = len;
            from = end;
        }
    }
    *match = best;
    if (!best)
        return 0;
    for (size_t i = 0; i < max; i++)
        out[i] = from + i < n ? ids[from + i] : out[from + i - n];
    return max;
}

static size_t capped(size_t match) {
    return match < LOOKUP_MATCH ? match : LOOKUP_MATCH;
}

void lookup_learn(struct lookup *l, size_t match, bool hit) {
    double *share = &l->hits[capped(match)];
    *share += HIT_RATE * ((hit ? 1 : 0) - *share);
}

void lookup_timed(struct lookup *l, size_t n, double seconds) {
    double *known = &l->seconds[n];
    if (*known == 0)
        *known = seconds;
    if (seconds > 2 * *known) /* something else was at work */
        seconds = 2 * *known;
    *known += TIME_RATE * (seconds - *known);
}

/* What a call of n ids would take, judged by shorter ones. */
static double guessed(const struct lookup *l, size_t n) {
    size_t m = n - 1;
    while (m > 1 && l->seconds[m] == 0)
        m--;
    return l->seconds[m] + SLOPE * (double)(n - m) * l->seconds[1];
}

size_t lookup_choose(struct lookup *l, size_t match, size_t max) {
    double taken = 1, all_true = 1, best = MARGIN;
    size_t choice = 0;
    if (l->seconds[1] == 0) /* nothing to compare with yet */
        return 0;
    for (size_t k = 1; k <= max; k++) {
        const double known = l->seconds[k + 1];
        all_true *= l->hits[capped(match + k - 1)];
        taken += all_true;
        const double gain = taken * l->seconds[1] / (known > 0 ? known : guessed(l, k + 1));
        if (gain > best) {
            best = gain;
            choice = k;
        }
    }
    /* The next longer call may have been slow by bad luck: it is tried again some day. */
    double *next = &l->seconds[choice + 2];
    if (choice<LOOKUP_MAX && * next> guessed(l, choice + 2))
        *next -= FORGET * (*next - guessed(l, choice + 2));
    return choice;
}
