#include "quant/measure/statistics.h"

#include <criterion/criterion.h>
#include <math.h>

Test(statistics, moments) {
    struct tally m = {0};
    cr_assert_eq(tally_mean(&m).value, 0);
    tally_add(&m, 1);
    cr_assert_eq(tally_mean(&m).error, 0);
    tally_add(&m, 2);
    tally_add(&m, 3);
    tally_add(&m, 4);
    const struct estimate e = tally_mean(&m);
    cr_assert_eq(e.value, 2.5);
    cr_assert_float_eq(e.error, sqrt(1.25 / 3), 1e-15);
}

Test(statistics, nll) {
    const float logits[4] = {100, 100, 100, 100}, one[3] = {0, logf(2), 0};
    const struct softmax even = softmax_of(logits, 4), half = softmax_of(one, 3);
    cr_assert_float_eq(softmax_nll(&even, 2), log(4), 1e-12);
    cr_assert_eq(even.top, 0);
    cr_assert_float_eq(softmax_nll(&half, 1), log(2), 1e-7);
    cr_assert_float_eq(softmax_nll(&half, 0), log(4), 1e-7);
    cr_assert_eq(half.top, 1);
}

Test(statistics, divergence_of_known_distributions) {
    /* p = 1/2 1/4 1/4, q = 1/4 1/2 1/4, each off by a constant */
    const float p[3] = {logf(0.5f) + 7, logf(0.25f) + 7, logf(0.25f) + 7};
    const float q[3] = {logf(0.25f) - 3, logf(0.5f) - 3, logf(0.25f) - 3};
    const double kl = 0.5 * log(2) - 0.25 * log(2);
    const struct softmax of_p = softmax_of(p, 3), of_q = softmax_of(q, 3);
    struct divergence d;
    cr_assert(divergence_init(&d, 3));
    divergence_add(&d, &of_p, &of_q, 0);
    divergence_add(&d, &of_p, &of_p, 0);
    divergence_add(&d, &of_p, &of_q, 2);
    const struct divergence_result r = divergence_summary(&d);
    cr_assert_float_eq(r.mean.value, 2 * kl / 3, 1e-6);
    cr_assert_float_eq(r.same_top.value, 1. / 3, 1e-12);
    cr_assert_float_eq(r.log_ratio.value, log(2) / 3, 1e-6); /* log 2, 0 and 0 */
    cr_assert_float_eq(r.log_ratio.error, log(2) / 3, 1e-6);
    cr_assert_float_eq(r.p99.value, kl, 1e-6);
    divergence_free(&d);
}

Test(statistics, percentile_of_a_ramp) {
    struct divergence d;
    const size_t n = 10001;
    cr_assert(divergence_init(&d, n));
    d.n = n;
    for (size_t i = 0; i < n; i++) /* out of order */
        d.kl[i] = (float)((i * 7919) % n) / (float)(n - 1);
    const struct divergence_result r = divergence_summary(&d);
    cr_assert_float_eq(r.p99.value, 0.99, 1e-6);
    /* the rank's standard error, sqrt(n 0.99 0.01), is this far on the ramp */
    cr_assert_float_eq(r.p99.error, sqrt(0.99 * 0.01 / (double)n), 1e-4);
    divergence_free(&d);
    cr_assert_null(d.kl);
}

Test(statistics, nothing_to_sum_up) {
    struct divergence d = {0};
    const struct divergence_result r = divergence_summary(&d);
    cr_assert_eq(r.mean.value, 0);
    cr_assert_eq(r.same_top.error, 0);
}
