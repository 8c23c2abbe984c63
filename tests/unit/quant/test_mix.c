/* Mixed precision: units, the choice among them, and what they lose as measured by a model. */
#include "quant/mix.h"
#include "quant/sensitivity.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct bise_error err;

static const struct writer_tensor dense[] = {
    {"tok_embeddings", TYPE_I8, 256, 256, false},
    {"layers.0.attention_norm", TYPE_F32, 1, 256, true},
    {"layers.0.attention.wq", TYPE_I4, 256, 256, false},
    {"layers.0.attention.wv", TYPE_I4, 64, 256, false},
    {"layers.0.feed_forward.w2", TYPE_I4, 256, 512, false},
    {"layers.0.feed_forward.w3", TYPE_I8, 512, 256, false}, /* by a rule */
    {"output", TYPE_I8, 256, 256, false},
};
#define N_DENSE (sizeof dense / sizeof dense[0])

static struct writer_tensor tensors[64];
static bool by_rule[64];
static struct mix mix;

static void open_mix(const struct writer_tensor *from, size_t n) {
    const struct types t = {.type = TYPE_I4, .by_rule = by_rule};
    memcpy(tensors, from, n * sizeof *from);
    cr_assert_eq(mix_open(&mix, &t, tensors, n, &err), BISE_OK, "%s", err.detail);
}

static double layer_bits(size_t n) {
    const struct type_share s = types_share(tensors, n, true);
    return type_bits(&s);
}

Test(mix, only_matrices_of_layers_in_i4) {
    open_mix(dense, N_DENSE);
    cr_assert_eq(mix.n_units, 3);
    cr_assert_str_eq(mix.units[0].name, "layers.0.attention.wq");
    for (size_t i = 0; i < N_DENSE; i++)
        cr_assert_eq(mix.unit_of[i] != MIX_NONE, i >= 2 && i <= 4, "%zu", i);
    cr_assert_eq(mix.units[1].n_weights, 64 * 256);
    mix_close(&mix);
    by_rule[2] = true;
    open_mix(dense, N_DENSE);
    cr_assert_eq(mix.n_units, 2);
    mix_close(&mix);
}

Test(mix, the_most_for_the_bytes_within_the_budget) {
    static const struct {
        double bits;
        bool chosen[3];
    } cases[] = {{4.25, {false, false, false}}, /* less than there are already */
                 {6.0, {false, true, false}},   /* wv has the best ratio, the others no room */
                 {6.8, {true, true, false}},
                 {8.24, {true, true, false}},
                 {8.25, {true, true, true}}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        open_mix(dense, N_DENSE);
        mix.units[0].loss = 3;
        mix.units[1].loss = 2;
        mix.units[2].loss = 5;
        cr_assert_eq(mix_choose(&mix, cases[c].bits, &err), BISE_OK);
        for (size_t u = 0; u < 3; u++) {
            cr_assert_eq(mix.units[u].chosen, cases[c].chosen[u], "%g bits, unit %zu",
                         cases[c].bits, u);
            cr_assert_eq(tensors[2 + u].type, cases[c].chosen[u] ? TYPE_I8 : TYPE_I4);
        }
        cr_assert(c == 0 || layer_bits(N_DENSE) <= cases[c].bits + 0.15); /* row scales */
        mix_close(&mix);
    }
}

Test(mix, experts_go_together) {
    static const struct writer_tensor moe[] = {
        {"layers.3.feed_forward.gate", TYPE_F32, 2, 128, false},
        {"layers.3.feed_forward.experts.0.w1", TYPE_I4, 128, 128, false},
        {"layers.3.feed_forward.experts.0.w2", TYPE_I4, 128, 128, false},
        {"layers.3.feed_forward.experts.1.w1", TYPE_I4, 128, 128, false},
        {"layers.3.feed_forward.experts.1.w2", TYPE_I4, 128, 128, false},
        {"layers.4.feed_forward.experts.0.w1", TYPE_I4, 128, 128, false},
    };
    open_mix(moe, 6);
    cr_assert_eq(mix.n_units, 3);
    cr_assert_str_eq(mix.units[0].name, "layers.3.feed_forward.experts.*.w1");
    cr_assert_eq(mix.unit_of[0], MIX_NONE);
    cr_assert_eq(mix.unit_of[3], 0);
    cr_assert_eq(mix.unit_of[4], 1);
    cr_assert_eq(mix.unit_of[5], 2);
    cr_assert_eq(mix.units[0].n_weights, 2 * mix.units[2].n_weights);
    mix_close(&mix);
}

/* ---- measured on the demo model's own text -------------------------------------------------- */

static const char *const model_path = "models/demo.bise";

Test(sensitivity, a_rounded_source_is_refused) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP};
    struct bise_model *m;
    cr_assert_eq(bise_model_open(&m, model_path, &params, &err), BISE_OK);
    const size_t n = m->n_tensors;
    cr_assert(n <= 64);
    for (size_t i = 0; i < n; i++)
        tensors[i] =
            (struct writer_tensor){m->tensors[i].name, m->tensors[i].type, m->tensors[i].rows,
                                   m->tensors[i].cols, m->tensors[i].is_vector};
    const struct types t = {.type = TYPE_I4, .by_rule = by_rule};
    cr_assert_eq(mix_open(&mix, &t, tensors, n, &err), BISE_OK);
    cr_assert_eq(mix.n_units, 42);
    cr_assert_eq(sensitivity_measure(&mix, m, NULL, 0, NULL, 1, NULL, &err), BISE_ERR_ARG);
    cr_assert(strstr(err.detail, "expected a source of f32 or bf16"), "%s", err.detail);
    mix_close(&mix);
    bise_model_close(&m);
}
