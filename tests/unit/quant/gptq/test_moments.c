/* Statistics: what sessions sum up, and files of it. */
#include "quant/calibration.h"
#include "quant/gptq/moments.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "tests/unit/synth_model.h"
#include "tests/unit/tiny_model.h"

#include <float.h>
#include <math.h>

#define DENSE   "dim=160,ffn=200,layers=2,heads=4,kv=2,head_dim=32,vocab=96"
#define MIXTURE "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,experts=4,top=2"
#define N_IDS   150

static char folder[256], path[300], file[300];
static struct bise_model *model;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/m.bise", folder);
    snprintf(file, sizeof file, "%s/stats", folder);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    unlink(file);
    rmdir(folder);
}

TestSuite(moments, .init = setup, .fini = teardown);

/* Sums of a pass over N_IDS ids in calls of `call` tokens. */
static void collect(struct moment_sums *m, int n_threads, size_t call) {
    const struct bise_engine_params params = {.n_threads = n_threads, .window = -1, .chunk = 64};
    struct bise_session *s = NULL;
    int32_t ids[N_IDS];
    for (int i = 0; i < N_IDS; i++)
        ids[i] = (i * 37 + 11) % 96;
    cr_assert_eq(moment_sums_open(m, &model->config, NULL), BISE_OK);
    cr_assert_eq(bise_session_open(&s, model, &params, NULL), BISE_OK);
    session_observe(s, &m->observer);
    for (size_t at = 0; at < N_IDS; at += call)
        cr_assert_eq(
            bise_prefill(s, ids + at, call < N_IDS - at ? call : N_IDS - at, NULL, NULL, NULL),
            BISE_OK);
    session_observe(s, NULL);
    bise_session_close(&s);
    moment_sums_take(m);
}

static void expect_near(const struct moments *a, const struct moments *b, double tolerance) {
    cr_assert_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        double d = 0, sum = 0;
        cr_assert_str_eq(a->entries[i].name, b->entries[i].name);
        cr_assert_eq(a->entries[i].count, b->entries[i].count);
        for (uint32_t c = 0; c < a->entries[i].cols; c++) {
            const double x = (double)a->entries[i].squares[c];
            const double y = (double)b->entries[i].squares[c];
            d += fabs(x - y);
            sum += x;
        }
        cr_assert_gt(sum, 0, "%s", a->entries[i].name);
        cr_assert_leq(d, tolerance * sum, "%s: %g of %g", a->entries[i].name, d, sum);
    }
}

/* RMSNorm makes vectors of mean square 1 (times the gain): the first input's sum is known. */
Test(moments, moments_are_means_of_squares) {
    model = synth_model(path, DENSE, TYPE_F32);
    struct moment_sums m;
    collect(&m, 2, N_IDS);
    const struct input_moments *const in = moments_find(&m.means, "layers.0.attention.wv");
    const float *const gain = (const float *)(const void *)model->layers[0].attn_norm->w.panels;
    double sum = 0;
    cr_assert_not_null(in);
    cr_assert_eq(in->count, N_IDS);
    for (uint32_t c = 0; c < in->cols; c++)
        sum += (double)in->squares[c] / ((double)gain[c] * (double)gain[c]);
    cr_assert_float_eq(sum / in->cols, 1, 0.02, "%g", sum / in->cols);
    moment_sums_close(&m);
}

Test(moments, threads_and_calls_do_not_matter) {
    model = synth_model(path, DENSE, TYPE_F32);
    struct moment_sums one, two, single;
    collect(&one, 1, N_IDS);
    collect(&two, 3, N_IDS);
    collect(&single, 2, 1); /* decode: no call is cut to its last token */
    expect_near(&one.means, &two.means, 0);
    expect_near(&one.means, &single.means, 1e-5);
    moment_sums_close(&one);
    moment_sums_close(&two);
    moment_sums_close(&single);
}

Test(moments, every_form_of_activations_is_seen) {
    struct moment_sums m[3];
    static const enum tensor_type types[] = {TYPE_BF16, TYPE_I8, TYPE_I4};
    for (int i = 0; i < 3; i++) {
        model = synth_model(path, DENSE, types[i]);
        collect(&m[i], 2, N_IDS);
        cr_assert_eq(m[i].means.n, 8);
        for (size_t e = 0; e < 8; e++)
            cr_assert_eq(m[i].means.entries[e].count, N_IDS);
        bise_model_close(&model);
    }
    for (int i = 0; i < 3; i++)
        moment_sums_close(&m[i]);
}

Test(moments, experts_are_counted) {
    model = synth_model(path, MIXTURE, TYPE_F32);
    struct moment_sums m;
    collect(&m, 2, 50);
    cr_assert_eq(m.means.n, 2 * (2 + 2 * 4));
    for (size_t layer = 0; layer < 2; layer++) {
        uint64_t in = 0, hidden = 0;
        for (size_t e = 0; e < 4; e++) {
            in += m.means.entries[moments_index(&model->config, layer, INPUT_FFN, e)].count;
            hidden += m.means.entries[moments_index(&model->config, layer, INPUT_W2, e)].count;
        }
        cr_assert_eq(in, 2 * N_IDS);
        cr_assert_eq(hidden, 2 * N_IDS);
    }
    cr_assert_not_null(moments_find(&m.means, "layers.1.feed_forward.experts.3.w3"));
    cr_assert_null(moments_find(&m.means, "layers.1.feed_forward.gate"));
    m.means.entries[2].count = MOMENTS_LEAST - 1;
    cr_assert_null(moments_weights(&m.means, "layers.0.feed_forward.experts.0.w1"));
    m.means.entries[2].count = MOMENTS_LEAST;
    cr_assert_eq(moments_weights(&m.means, "layers.0.feed_forward.experts.0.w1"),
                 m.means.entries[2].squares);
    moment_sums_close(&m);
}

static void fill(struct moments *s, const struct model_config *c) {
    cr_assert_eq(moments_open(s, c, NULL), BISE_OK);
    for (size_t i = 0; i < s->n; i++) {
        s->entries[i].count = 1000 + i;
        for (uint32_t k = 0; k < s->entries[i].cols; k++)
            s->entries[i].squares[k] = (float)(i + 1) / (float)(k + 1);
    }
}

Test(moments, files_come_back) {
    const struct model_config c = tiny_config();
    struct model_config wider = c;
    struct bise_error err = {0};
    struct moments s, back;
    fill(&s, &c);
    cr_assert_eq(moments_write(&s, file, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(moments_read(&back, file, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(moments_check(&back, &c, file, &err), BISE_OK, "%s", err.detail);
    expect_near(&s, &back, 0);
    wider.ffn_dim++;
    cr_assert_eq(moments_check(&back, &wider, file, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "layers.0.feed_forward.w2 of 49"), "%s", err.detail);
    wider.n_layers++;
    cr_assert_eq(moments_check(&back, &wider, file, &err), BISE_ERR_FORMAT);
    moments_close(&s);
    moments_close(&back);
}

/* The bytes of a sound file; the caller frees them. */
static uint8_t *sound_file(size_t *len) {
    const struct model_config c = tiny_config();
    struct moments s;
    fill(&s, &c);
    cr_assert_eq(moments_write(&s, file, NULL), BISE_OK);
    moments_close(&s);
    return tiny_slurp(file, len);
}

static enum bise_status decode(uint8_t *data, size_t len, bool mend, struct bise_error *err) {
    struct moments s;
    if (mend) {
        put_u32(data + 12, 0);
        put_u32(data + 12, crc32c(0, data, len));
    }
    const enum bise_status status = moments_decode(&s, data, len, "x", err);
    moments_close(&s);
    return status;
}

Test(moments, damage_is_found) {
    size_t len;
    struct bise_error err = {0};
    uint8_t *const data = sound_file(&len);
    cr_assert_eq(decode(data, len, true, &err), BISE_OK, "%s", err.detail);
    for (size_t i = 0; i < len; i += 7) {
        data[i] ^= 0x40;
        cr_assert_neq(decode(data, len, false, &err), BISE_OK, "byte %zu", i);
        data[i] ^= 0x40;
    }
    for (size_t cut = 0; cut < len; cut += 13)
        cr_assert_neq(decode(data, cut, false, &err), BISE_OK, "cut to %zu", cut);
    free(data);
}

Test(moments, hostile_numbers_are_refused_by_name) {
    static const struct {
        size_t at;
        uint32_t value;
        const char *says;
    } cases[] = {
        {8, 2, "version 2"},
        {24, 0, "table of 0"},
        {24, 0xFFFFFFFF, "table of 4294967295"},
        {28, 1, "should be zero"},
        {MOMENTS_HEADER, 0x2F2F2F2F, "name of input 0"},
        {MOMENTS_HEADER + 64, 0, "layers.0.attention.wq: 0 columns"},
        {MOMENTS_HEADER + 64, 0x40000000, "layers.0.attention.wq: 1073741824 columns"},
        {MOMENTS_HEADER + 64, 31, "behind the last input"},
        {MOMENTS_HEADER + 8 * MOMENTS_ENTRY, 0x7FC00000, "expected a mean of squares"},
        {MOMENTS_HEADER + 8 * MOMENTS_ENTRY + 4, 0xBF800000, "column 1: expected a mean"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        struct bise_error err = {0};
        uint8_t *const data = sound_file(&len);
        put_u32(data + cases[i].at, cases[i].value);
        cr_assert_neq(decode(data, len, true, &err), BISE_OK, "case %zu", i);
        cr_assert_not_null(strstr(err.detail, cases[i].says), "case %zu: %s", i, err.detail);
        free(data);
    }
}

Test(moments, sums_beyond_floats_stay_numbers) {
    struct moment_sums m;
    model = synth_model(path, DENSE, TYPE_I8);
    cr_assert_eq(moment_sums_open(&m, &model->config, NULL), BISE_OK);
    m.means.entries[0].count = 1;
    m.sums[0][0] = 1e300;
    m.sums[0][1] = 2;
    const struct input_moments *const e = &moment_sums_take(&m)->entries[0];
    cr_assert(e->squares[0] == FLT_MAX && e->squares[1] == 2);
    moment_sums_close(&m);
}

/* Whatever a file is calibrated by, another of it does not go on with what was begun. */
Test(moments, the_identity_of_a_calibration) {
    float squares[] = {1, 2, 3};
    int32_t ids[] = {5, 6, 7};
    struct input_moments entry = {.cols = 3, .count = 10, .squares = squares};
    struct calibration c = {.moments = {.entries = &entry, .n = 1}};
    uint64_t seen[5];
    seen[0] = calibration_identity(&c);
    squares[2] = 4;
    seen[1] = calibration_identity(&c);
    entry.count++;
    seen[2] = calibration_identity(&c);
    c.text = (struct calibration_text){.ids = ids, .n = 3};
    seen[3] = calibration_identity(&c);
    ids[2]++;
    seen[4] = calibration_identity(&c);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(seen[i], seen[j], "%zu and %zu", i, j);
}
