#include "quant/mix.h"

#include "quant/round/quantize.h"
#include "quant/sensitivity.h"
#include "src/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name without the number of an expert. */
static void unit_name(char *out, size_t cap, const char *name) {
    const char *experts = strstr(name, ".experts.");
    if (!experts) {
        snprintf(out, cap, "%s", name);
        return;
    }
    const char *rest = strchr(experts + strlen(".experts."), '.');
    snprintf(out, cap, "%.*s.experts.*%s", (int)(experts - name), name, rest ? rest : "");
}

/* Experts of a layer follow each other: their unit is among the last. */
static size_t find_unit(const struct mix *m, const char *name) {
    const size_t from = m->n_units > 8 ? m->n_units - 8 : 0;
    for (size_t i = from; i < m->n_units; i++)
        if (strcmp(m->units[i].name, name) == 0)
            return i;
    return m->n_units;
}

enum bise_status mix_open(struct mix *m, const struct types *t, struct writer_tensor *tensors,
                          size_t n, struct bise_error *err) {
    *m = (struct mix){.n_tensors = n, .tensors = tensors};
    m->unit_of = calloc(n, sizeof *m->unit_of);
    m->units = calloc(n, sizeof *m->units);
    if (!m->unit_of || !m->units)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const struct writer_tensor *w = &tensors[i];
        char name[64];
        m->unit_of[i] = MIX_NONE;
        if (!is_layer_matrix(w) || w->type != TYPE_I4 || t->by_rule[i])
            continue;
        unit_name(name, sizeof name, w->name);
        const size_t u = find_unit(m, name);
        if (u == m->n_units)
            memcpy(m->units[m->n_units++].name, name, sizeof name);
        m->unit_of[i] = u;
        m->units[u].n_weights += (uint64_t)w->rows * w->cols;
    }
    return BISE_OK;
}

void mix_close(struct mix *m) {
    free(m->unit_of);
    free(m->units);
    *m = (struct mix){0};
}

/* The eighths of the layers at either end, at least one each, lose about three times as much as the
 * others (docs/decisions.md). */
static double place_loss(const char *name, size_t n_layers) {
    const size_t layer = (size_t)strtoul(name + strlen("layers."), NULL, 10);
    const size_t edge = n_layers < 8 ? 1 : n_layers / 8;
    return layer < edge || layer + edge >= n_layers ? 3 : 1;
}

static size_t count_layers(const struct mix *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->n_tensors; i++)
        if (is_layer_matrix(&m->tensors[i]))
            n = (size_t)strtoul(m->tensors[i].name + strlen("layers."), NULL, 10) + 1;
    return n;
}

/* What a weight of each kind loses in i4, relative to each other: KL divergences measured on the
 * demo model (docs/decisions.md). */
static double kind_loss(const char *name) {
    static const struct {
        const char *end;
        double loss;
    } kinds[] = {{".wv", 2.4}, {".w2", 2.2},  {".w1", 1.35}, {".wk", 1.25},
                 {".wo", 0.9}, {".w3", 0.65}, {".wq", 0.5}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(dot, kinds[i].end) == 0)
            return kinds[i].loss;
    return 1;
}

/* Squared relative error of one panel in the middle of tensor i as i4. */
static enum bise_status sample_error(const struct source *source, const struct writer_tensor *t,
                                     size_t i, const float *weights, double *error,
                                     struct bise_error *err) {
    const size_t k = round_up(t->cols, TILE_K);
    const uint32_t panel_row = t->rows / 2 / PANEL_ROWS * PANEL_ROWS;
    const uint32_t n = t->rows - panel_row < PANEL_ROWS ? t->rows - panel_row : PANEL_ROWS;
    const struct rounding how = {TYPE_I4, codebook_default, weights};
    struct rounding_sums sums = {0};
    enum bise_status s = BISE_ERR_MEMORY;
    float *rows = malloc((size_t)n * t->cols * sizeof *rows);
    float *scratch = malloc(quantize_scratch_floats(t->cols) * sizeof *scratch);
    uint8_t *panel = aligned_alloc(64, round_up(panel_bytes(TYPE_I4, k), 64));
    if (rows && scratch && panel)
        s = source_read_rows(source, i, panel_row, n, rows, err);
    else
        bise_fail(err, s, "tensor %s: no memory for a sample", t->name);
    if (!s)
        quantize_panel(panel, &how, rows, n, t->cols, scratch, &sums);
    *error = sums.weighted_norm > 0 ? sums.weighted_error / sums.weighted_norm : 0;
    free(rows);
    free(scratch);
    free(panel);
    return s;
}

enum bise_status mix_guess(struct mix *m, const struct source *source,
                           const struct moments *moments, struct bise_error *err) {
    const size_t n_layers = count_layers(m);
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < m->n_tensors && !s; i++) {
        const struct writer_tensor *t = &m->tensors[i];
        double error;
        if (m->unit_of[i] == MIX_NONE)
            continue;
        s = sample_error(source, t, i, moments_weights(moments, t->name), &error, err);
        if (!s)
            m->units[m->unit_of[i]].loss += kind_loss(t->name) * place_loss(t->name, n_layers) *
                                            error * (double)t->rows * (double)t->cols;
    }
    return s;
}

/* Of two units the one that buys more for its bytes; ties in the order of the file. */
static size_t best_left(const struct mix *m, const bool *looked_at) {
    size_t best = m->n_units;
    for (size_t i = 0; i < m->n_units; i++)
        if (!looked_at[i] &&
            (best == m->n_units || m->units[i].loss * (double)m->units[best].n_weights >
                                       m->units[best].loss * (double)m->units[i].n_weights))
            best = i;
    return best;
}

/* Bits of codes and block scales for each weight of the layers' matrices; *n_weights of them. */
static double plain_bits(const struct mix *m, double *n_weights) {
    static const double bits_of[TYPE_COUNT] = {
        [TYPE_F32] = 32, [TYPE_BF16] = 16, [TYPE_I8] = 8.25, [TYPE_I4] = 4.25};
    double bits = 0;
    *n_weights = 0;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const double n = (double)m->tensors[i].rows * (double)m->tensors[i].cols;
        if (!is_layer_matrix(&m->tensors[i]))
            continue;
        bits += n * bits_of[m->tensors[i].type];
        *n_weights += n;
    }
    return *n_weights > 0 ? bits / *n_weights : 0;
}

enum bise_status mix_choose(struct mix *m, double bits, struct bise_error *err) {
    const double i8_more = 8.25 - 4.25;
    double n_weights;
    const double before = plain_bits(m, &n_weights);
    double left = (bits - before) / i8_more * n_weights; /* weights that can become i8 */
    bool *looked_at = calloc(m->n_units ? m->n_units : 1, sizeof *looked_at);
    if (!looked_at)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu matrices", m->n_units);
    for (size_t u; (u = best_left(m, looked_at)) < m->n_units;) {
        looked_at[u] = true;
        m->units[u].chosen = (double)m->units[u].n_weights <= left + 0.5;
        if (m->units[u].chosen)
            left -= (double)m->units[u].n_weights;
    }
    free(looked_at);
    for (size_t i = 0; i < m->n_tensors; i++)
        if (m->unit_of[i] != MIX_NONE && m->units[m->unit_of[i]].chosen)
            m->tensors[i].type = TYPE_I8;
    return BISE_OK;
}

static void mix_tell(const struct mix *m, double bits, const char *how,
                     const struct listener *listener) {
    const struct type_share layers = types_share(m->tensors, m->n_tensors, true);
    const struct type_share all = types_share(m->tensors, m->n_tensors, false);
    double n_weights;
    const double plain = plain_bits(m, &n_weights);
    size_t n_chosen = 0;
    for (size_t i = 0; i < m->n_units; i++)
        n_chosen += m->units[i].chosen;
    listener_note(listener,
                  "--bits %g: i8 for %zu of %zu, %s; layers %.3f bits per weight, with row scales "
                  "and padding %.3f, the whole file %.3f",
                  bits, n_chosen, m->n_units, how, plain, type_bits(&layers), type_bits(&all));
    for (size_t i = 0; i < m->n_units; i++)
        if (m->units[i].chosen)
            listener_note(listener, "  %-44s i8  loss %.3e as i4", m->units[i].name,
                          m->units[i].loss);
}

static enum bise_status measure(struct mix *m, const struct origin *from, const char *text,
                                const struct moments *moments, struct bise_error *err) {
    struct bise_model *model = NULL;
    int32_t *ids;
    size_t n;
    enum bise_status s = bundle_tokenize(from->tokenizer, "--sensitivity", text, -1,
                                         SENSITIVITY_SEQUENCE, &ids, &n, err);
    if (!s && from->dry_run)
        s = mix_guess(m, from->source, moments, err);
    else if (!s)
        s = reference_open(&model, from, TYPE_BF16, err);
    if (!s && model)
        s = sensitivity_measure(m, model, ids, n, moments, from->n_threads, from->listener, err);
    bise_model_close(&model);
    free(ids);
    return s;
}

enum bise_status mix_apply(const struct types *t, const char *sensitivity,
                           const struct origin *from, const struct moments *moments,
                           struct writer_tensor *tensors, size_t n, struct bise_error *err) {
    struct mix m;
    if (t->bits == 0)
        return sensitivity ? bise_fail(err, BISE_ERR_ARG, "--sensitivity: of no use without --bits")
                           : BISE_OK;
    if (t->type != TYPE_I4)
        return bise_fail(err, BISE_ERR_ARG, "--bits: of no use with --type %s",
                         tensor_type_name(t->type));
    enum bise_status s = mix_open(&m, t, tensors, n, err);
    if (!s)
        s = sensitivity ? measure(&m, from, sensitivity, moments, err)
                        : mix_guess(&m, from->source, moments, err);
    if (!s)
        s = mix_choose(&m, t->bits, err);
    if (!s)
        mix_tell(&m, t->bits, sensitivity && !from->dry_run ? "measured" : "guessed",
                 from->listener);
    mix_close(&m);
    return s;
}
