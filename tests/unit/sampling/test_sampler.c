/* The sampler: what is picked, what can be picked, and how often. */
#include "src/base/random.h"
#include "src/bise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define N 8

/* The text that is sampled: every pick is appended. */
static int32_t text[4096];
static size_t n_text;

static struct bise_sampler *open_sampler(struct bise_sampler_params p, uint32_t n_vocab) {
    struct bise_sampler *s = NULL;
    struct bise_error err = {0};
    cr_assert_eq(bise_sampler_open(&s, n_vocab, &p, &err), BISE_OK, "%s", err.detail);
    n_text = 0;
    return s;
}

static int32_t sample_next(struct bise_sampler *s, const float *logits) {
    static uint64_t position;
    position = n_text == 0 ? 0 : position + 1;
    if (n_text == sizeof text / sizeof *text) { /* what is far behind does not matter */
        memmove(text, text + n_text / 2, sizeof text / 2);
        n_text /= 2;
    }
    const int32_t id = bise_sample(s, logits, NULL, text, n_text, position);
    text[n_text++] = id;
    return id;
}

/* How often each of N ids comes in draws draws from the same logits. */
static void count_picks(struct bise_sampler_params p, const float *logits, int draws, int *counts) {
    struct bise_sampler *s = open_sampler(p, N);
    memset(counts, 0, N * sizeof *counts);
    for (int i = 0; i < draws; i++) {
        const int32_t id = sample_next(s, logits);
        cr_assert(id >= 0 && id < N);
        counts[id]++;
    }
    bise_sampler_close(&s);
    cr_assert_null(s);
}

/* Bit i is set if id i was ever picked. */
static unsigned picked(struct bise_sampler_params p, const float *logits) {
    int counts[N];
    unsigned set = 0;
    count_picks(p, logits, 4000, counts);
    for (int i = 0; i < N; i++)
        set |= (unsigned)(counts[i] > 0) << i;
    return set;
}

static int32_t greedy(const float *logits) {
    struct bise_sampler *s = open_sampler((struct bise_sampler_params){0}, N);
    const int32_t id = sample_next(s, logits);
    bise_sampler_close(&s);
    return id;
}

Test(random, known_values) {
    /* splitmix64 from 0 as its authors publish it; xoshiro256** from the state 1, 2, 3, 4. */
    uint64_t x = 0;
    cr_assert_eq(random_splitmix(&x), 0xe220a8397b1dcdafu);
    cr_assert_eq(random_splitmix(&x), 0x6e789e6aa1b965f4u);
    struct random_state r = {{1, 2, 3, 4}};
    const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(random_u64(&r), want[i]);
}

Test(random, numbers_at_positions) { /* by another program from the definition */
    cr_assert_eq(random_unit_at(0, 0), 0x1.4e0dba5e9a32fp-1);
    cr_assert_eq(random_unit_at(42, 1000003), 0x1.349d8e8c921d0p-1);
    cr_assert_eq(random_unit_at(UINT64_MAX, 0), 0x1.77082a9eca89cp-2);
}

Test(sampler, greedy_takes_the_best_and_the_lower_of_equals) {
    cr_assert_eq(greedy((float[N]){0, 1, 5, 2, 5, 1, 0, 0}), 2);
    cr_assert_eq(greedy((float[N]){0}), 0);
    cr_assert_eq(greedy((float[N]){-3, -2, -2, -4, -9, -9, -9, -9}), 1);
}

Test(sampler, extreme_logits) {
    const float inf = INFINITY;
    float none[N], big[N] = {3e38f, -3e38f, 3e38f, 0, 0, 0, 0, 0};
    for (int i = 0; i < N; i++)
        none[i] = -inf;
    cr_assert_eq(greedy(none), 0);
    cr_assert_eq(greedy((float[N]){-inf, -inf, -1e30f, -inf, -inf, -inf, -inf, -inf}), 2);
    cr_assert_eq(greedy((float[N]){NAN, 1, NAN, 2, 0, 0, 0, 0}), 3);
    cr_assert_eq(greedy((float[N]){0, 1, inf, 2, inf, 0, 0, 0}), 2);
    const struct bise_sampler_params warm = {.temp = 1, .seed = 1};
    cr_assert_eq(picked(warm, none), 1u);
    cr_assert_eq(picked(warm, big), 5u);
    cr_assert_eq(picked(warm, (float[N]){0, -inf, 0, -inf, -inf, NAN, -inf, 0}), 0x85u);
    cr_assert_eq(picked(warm, (float[N]){0, 1, inf, 2, inf, 0, 0, 0}), 4u);
    const struct bise_sampler_params cold = {.temp = 0};
    struct bise_sampler *s = NULL;
    cr_assert_eq(bise_sampler_open(&s, N, &cold, NULL), BISE_OK);
    cr_assert_eq(bise_sample(s, none, (const uint8_t[N]){0, 0, 0, 1, 1}, NULL, 0, 0), 3);
    bise_sampler_close(&s);
    const struct bise_sampler_params all = {
        .temp = 1e-30f, .top_k = 5, .top_p = 0.9f, .min_p = 0.1f, .typical_p = 0.9f};
    cr_assert_eq(picked(all, big), 5u);
}

Test(sampler, frequencies_are_the_softmax) {
    const float logits[N] = {0, logf(2), logf(3), logf(4), -INFINITY, logf(6), 0, logf(3)};
    const int weight[N] = {1, 2, 3, 4, 0, 6, 1, 3}, draws = 100000;
    int counts[N];
    count_picks((struct bise_sampler_params){.temp = 1, .seed = 7}, logits, draws, counts);
    double chi2 = 0;
    for (int i = 0; i < N; i++) {
        const double want = draws * weight[i] / 20.0;
        if (weight[i])
            chi2 += (counts[i] - want) * (counts[i] - want) / want;
        else
            cr_assert_eq(counts[i], 0);
    }
    cr_assert_lt(chi2, 22.5, "chi squared %g of 6 degrees of freedom", chi2); /* p = 0.001 */
    /* At temperature 0.5 the weights are squared: 1 4 9 16 0 36 1 9 of 76. */
    count_picks((struct bise_sampler_params){.temp = 0.5f, .seed = 7}, logits, draws, counts);
    cr_assert_float_eq(counts[5] / (double)draws, 36 / 76.0, 0.006);
    cr_assert_float_eq(counts[0] / (double)draws, 1 / 76.0, 0.002);
}

Test(sampler, same_seed_same_ids) {
    const float logits[N] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f};
    struct bise_sampler_params p = {.temp = 1, .seed = 42, .top_p = 0.95f};
    struct bise_sampler *a = open_sampler(p, N), *b = open_sampler(p, N);
    p.seed = 43;
    struct bise_sampler *c = open_sampler(p, N);
    int differ = 0;
    int32_t first[8];
    for (int i = 0; i < 100; i++) {
        const int32_t id = bise_sample(a, logits, NULL, NULL, 0, (uint64_t)i);
        cr_assert_eq(id, bise_sample(b, logits, NULL, NULL, 0, (uint64_t)i));
        differ += id != bise_sample(c, logits, NULL, NULL, 0, (uint64_t)i);
        if (i < 8)
            first[i] = id;
    }
    cr_assert_gt(differ, 50);
    /* Pinned, so that a change of the generator or of the order of the walk is noticed. */
    const int32_t want[8] = {3, 7, 4, 0, 6, 0, 2, 6};
    cr_assert_arr_eq(first, want, sizeof want);
    bise_sampler_close(&a);
    bise_sampler_close(&b);
    bise_sampler_close(&c);
}

/* A position's number has nothing to do with what was drawn before, nor with other seeds' numbers
 * at other positions. */
Test(sampler, numbers_belong_to_seed_and_position) {
    const float logits[N] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f};
    struct bise_sampler *s = open_sampler((struct bise_sampler_params){.temp = 1, .seed = 7}, N);
    int32_t forth[2000], shifted = 0;
    for (int i = 0; i < 2000; i++)
        forth[i] = bise_sample(s, logits, NULL, NULL, 0, (uint64_t)i);
    for (int i = 2000; i-- > 0;)
        cr_assert_eq(bise_sample(s, logits, NULL, NULL, 0, (uint64_t)i), forth[i]);
    bise_sampler_set_seed(s, 8);
    cr_assert_eq(bise_sampler_seed(s), 8);
    for (int i = 0; i < 1999; i++)
        shifted += bise_sample(s, logits, NULL, NULL, 0, (uint64_t)i) == forth[i + 1];
    cr_assert_lt(shifted, 500, "seed 8 is seed 7 shifted: %d of 1999 are the same", shifted);
    bise_sampler_close(&s);
}

Test(sampler, top_k) {
    const float logits[N] = {1, 3, 2, 3, 0, 2, 2, -1};
    struct bise_sampler_params p = {.temp = 2, .seed = 3};
    p.top_k = 1;
    cr_assert_eq(picked(p, logits), 0x02u);
    p.top_k = 2;
    cr_assert_eq(picked(p, logits), 0x0au);
    p.top_k = 4; /* of three equals the two lowest ids */
    cr_assert_eq(picked(p, logits), 0x2eu);
    p.top_k = N;
    cr_assert_eq(picked(p, logits), 0xffu);
    p.top_k = 4000000000u;
    cr_assert_eq(picked(p, logits), 0xffu);
}

/* Weights 8 4 2 2, the rest nothing: shares 0.5, 0.25, 0.125, 0.125, exact in binary. */
static const float halves[N] = {2.0794415f, 1.3862944f, 0.6931472f, 0.6931472f,
                                -INFINITY,  -INFINITY,  -INFINITY,  -INFINITY};

Test(sampler, top_p) {
    struct bise_sampler_params p = {.temp = 1, .seed = 4};
    p.top_p = 0.49f;
    cr_assert_eq(picked(p, halves), 0x1u);
    p.top_p = 0.51f;
    cr_assert_eq(picked(p, halves), 0x3u);
    p.top_p = 0.74f;
    cr_assert_eq(picked(p, halves), 0x3u);
    p.top_p = 0.76f; /* of equals the lower id */
    cr_assert_eq(picked(p, halves), 0x7u);
    p.top_p = 1;
    cr_assert_eq(picked(p, halves), 0xfu);
    p.top_p = 1e-30f; /* at least one */
    cr_assert_eq(picked(p, halves), 0x1u);
    p.top_p = 0.6f; /* of the two that top-k leaves, the first has two thirds */
    p.top_k = 2;
    cr_assert_eq(picked(p, halves), 0x1u);
}

Test(sampler, min_p) {
    struct bise_sampler_params p = {.temp = 1, .seed = 5};
    p.min_p = 0.24f;
    cr_assert_eq(picked(p, halves), 0xfu);
    p.min_p = 0.26f;
    cr_assert_eq(picked(p, halves), 0x3u);
    p.min_p = 0.51f;
    cr_assert_eq(picked(p, halves), 0x1u);
    p.min_p = 1;
    cr_assert_eq(picked(p, halves), 0x1u);
    cr_assert_eq(picked(p, (float[N]){0, 0, -1, 0, -1, -1, -1, -1}), 0xbu);
}

Test(sampler, typical) {
    /* Entropy of the halves is 1.75 bits; informations 1, 2, 3, 3: the nearest is id 1, then 0. */
    struct bise_sampler_params p = {.temp = 1, .seed = 6};
    p.typical_p = 0.2f;
    cr_assert_eq(picked(p, halves), 0x2u);
    p.typical_p = 0.7f;
    cr_assert_eq(picked(p, halves), 0x3u);
    p.typical_p = 0.8f;
    cr_assert_eq(picked(p, halves), 0x7u);
    p.typical_p = 1;
    cr_assert_eq(picked(p, halves), 0xfu);
}

Test(sampler, repeat_penalty) {
    struct bise_sampler_params p = {.repeat_penalty = 2, .repeat_last = 2};
    struct bise_sampler *s = open_sampler(p, N);
    const float logits[N] = {4, 3, 2.5f, -1, -1, -1, -1, -1};
    /* 4 3 2.5 -> 0; 2 3 2.5 -> 1; 2 1.5 2.5 -> 2; id 0 has left the last two: 4 again. */
    const int32_t want[] = {0, 1, 2, 0, 1, 2};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(sample_next(s, logits), want[i], "pick %d", i);
    bise_sampler_close(&s);
    s = open_sampler(p, N); /* negative logits grow more negative */
    const float negative[N] = {-1, -1.5f, -9, -9, -9, -9, -9, -9};
    cr_assert_eq(bise_sample(s, negative, NULL, (const int32_t[]){0, -1}, 2, 5), 1);
    cr_assert_eq(bise_sample(s, negative, NULL, (const int32_t[]){0, -1, N}, 3, 5), 0);
    cr_assert_eq(bise_sample(s, negative, NULL, NULL, 0, 5), 0, "nothing is remembered");
    bise_sampler_close(&s);
}

Test(sampler, frequency_and_presence_penalty) {
    const float logits[N] = {3, 2.2f, 1, -9, -9, -9, -9, -9};
    struct bise_sampler *s =
        open_sampler((struct bise_sampler_params){.frequency_penalty = 0.5f, .repeat_last = 64}, N);
    /* 3; 2.5; 2.0 against 2.2; 2.0 against 1.7; 1.5 against 1.7; ... */
    const int32_t want[] = {0, 0, 1, 0, 1, 0};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(sample_next(s, logits), want[i], "pick %d", i);
    bise_sampler_close(&s);
    s = open_sampler((struct bise_sampler_params){.presence_penalty = 1, .repeat_last = 64}, N);
    const int32_t once[] = {0, 1, 0, 0, 0}; /* 3; 2 against 2.2; 2 against 1.2 ever after */
    for (int i = 0; i < 5; i++)
        cr_assert_eq(sample_next(s, logits), once[i], "pick %d", i);
    bise_sampler_close(&s);
}

Test(sampler, logit_bias) {
    struct bise_logit_bias bias[] = {{0, -INFINITY}, {3, 2}, {3, 1.5f}};
    struct bise_sampler_params p = {.bias = bias, .n_bias = 3};
    struct bise_sampler *s = open_sampler(p, N);
    bias[0].bias = 0; /* it has been copied */
    cr_assert_eq(sample_next(s, (float[N]){9, 1, 2, 0, 3, 3.4f, 0, 0}), 3);
    bise_sampler_close(&s);
}

Test(sampler, large_vocabularies_agree_with_a_full_sort) {
    enum { BIG = 32768, K = 300 };
    static float logits[BIG];
    struct random_state r;
    random_seed(&r, 9);
    for (int i = 0; i < BIG; i++)
        logits[i] = (float)(random_u64(&r) % 1000) / 100; /* many equals */
    struct bise_sampler *s =
        open_sampler((struct bise_sampler_params){.temp = 100, .top_k = K, .seed = 1}, BIG);
    static bool seen[BIG];
    for (int i = 0; i < 4000; i++)
        seen[sample_next(s, logits)] = true;
    for (int i = 0; i < BIG; i++) {
        int rank = 0;
        if (!seen[i] && logits[i] < 9.8f)
            continue;
        for (int j = 0; j < BIG; j++)
            rank += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
        cr_assert_eq(seen[i], rank < K, "id %d of rank %d", i, rank);
    }
    bise_sampler_close(&s);
}

Test(sampler, bad_parameters_are_named) {
    const struct {
        struct bise_sampler_params p;
        const char *name;
    } bad[] = {
        {{.temp = -1}, "temp"},
        {{.temp = NAN}, "temp"},
        {{.temp = INFINITY}, "temp"},
        {{.top_p = 1.5f}, "top_p"},
        {{.min_p = -0.1f}, "min_p"},
        {{.typical_p = NAN}, "typical_p"},
        {{.repeat_penalty = -1}, "repeat_penalty"},
        {{.repeat_last = 1u << 30}, "repeat_last"},
        {{.frequency_penalty = NAN}, "frequency_penalty"},
        {{.presence_penalty = INFINITY}, "presence_penalty"},
        {{.bias = (struct bise_logit_bias[]){{N, 0}}, .n_bias = 1}, "logit bias"},
        {{.bias = (struct bise_logit_bias[]){{-1, 0}}, .n_bias = 1}, "logit bias"},
        {{.bias = (struct bise_logit_bias[]){{1, NAN}}, .n_bias = 1}, "logit bias"},
        {{.bias = (struct bise_logit_bias[]){{1, INFINITY}}, .n_bias = 1}, "logit bias"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bise_sampler *s = NULL;
        struct bise_error err = {0};
        cr_assert_eq(bise_sampler_open(&s, N, &bad[i].p, &err), BISE_ERR_ARG, "case %zu", i);
        cr_assert_null(s);
        cr_assert_not_null(strstr(err.detail, bad[i].name), "case %zu: %s", i, err.detail);
    }
    struct bise_sampler *s = NULL;
    cr_assert_eq(bise_sampler_open(&s, 0, &bad[0].p, NULL), BISE_ERR_ARG);
    bise_sampler_close(&s);
    bise_sampler_close(NULL);
}
