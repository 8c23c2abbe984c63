#include "quant/sensitivity.h"

#include "quant/measure/evaluate.h"
#include "quant/round/quantize.h"
#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/jobs.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

struct measure {
    struct mix *mix;
    struct bise_model *model;
    const struct moments *moments;
    const struct listener *listener;
    struct bise_session *session;
    int32_t *ids; /* [n_windows][window] */
    struct eval_shape shape;
    float *base, *logits; /* [n_windows][run][vocab], [run][vocab] */
    size_t n_done;        /* units */
    uint8_t *spare;       /* panels of a unit's tensors, rounded */
    size_t spare_bytes;
    struct jobs jobs; /* buffers: a panel of i4, its floats, scratch */
};

/* ---- rounding ------------------------------------------------------------------------------- */

struct round_job {
    const struct measure *m;
    const struct tensor *t;
    const float *weights; /* NULL: none */
    uint8_t *out;
};

/* One panel: to i4, back to floats, and into the form it had. */
static enum bise_status round_panel(void *arg, size_t panel, int thread, void *buffer,
                                    struct bise_error *err) {
    const struct round_job *job = arg;
    const struct tensor *t = job->t;
    const size_t k = t->w.k, row = panel * PANEL_ROWS;
    const size_t n = t->rows - row < PANEL_ROWS ? t->rows - row : PANEL_ROWS;
    uint8_t *i4 = buffer;
    float *rows = (float *)(void *)(i4 + round_up(panel_bytes(TYPE_I4, k), 64));
    float *scratch = rows + (PANEL_ROWS + 1) * k;
    const struct rounding to_i4 = {TYPE_I4, codebook_default, job->weights},
                          back = {.type = t->type};
    const struct wmat rounded = {i4, k, codebook_default};
    struct rounding_sums sums = {0};
    for (size_t i = 0; i < n; i++) /* a row's padding gives way to the next */
        dequantize_row(rows + i * t->cols, t->type, &t->w, row + i);
    quantize_panel(i4, &to_i4, rows, n, t->cols, scratch, &sums);
    for (size_t i = 0; i < n; i++)
        dequantize_row(rows + i * t->cols, TYPE_I4, &rounded, i);
    quantize_panel(job->out + panel * panel_bytes(t->type, k), &back, rows, n, t->cols, scratch,
                   &sums);
    (void)thread, (void)err;
    return BISE_OK;
}

static uint64_t bytes_of(const struct tensor *t) {
    return tensor_bytes(t->type, t->rows, t->cols, false);
}

/* Rounds a unit's tensors, or puts them back. */
static void exchange(struct measure *m, size_t unit, bool back) {
    uint8_t *at = m->spare;
    for (size_t i = 0; i < m->mix->n_tensors; i++) {
        struct tensor *t = &m->model->tensors[i];
        if (m->mix->unit_of[i] != unit)
            continue;
        if (back) {
            t->w.panels = m->model->map + t->offset;
            continue;
        }
        struct round_job job = {m, t, moments_weights(m->moments, t->name), at};
        jobs_run(&m->jobs, round_panel, &job, (t->rows + PANEL_ROWS - 1) / PANEL_ROWS, NULL);
        t->w.panels = at;
        at += bytes_of(t);
    }
}

/* ---- running -------------------------------------------------------------------------------- */

/* Logits of a window's positions that count. */
static enum bise_status run_window(const struct measure *m, size_t window, float *logits,
                                   struct bise_error *err) {
    if (listener_progress(m->listener, m->n_done, m->mix->n_units, err))
        return bise_fail(err, BISE_ERR_INTERRUPTED, "interrupted: nothing was written");
    bise_reset(m->session);
    return bise_prefill_logits(m->session, m->ids + window * m->shape.window, m->shape.run, logits,
                               err);
}

static size_t window_floats(const struct measure *m) {
    return (size_t)m->shape.run * m->shape.vocab;
}

static enum bise_status run_base(const struct measure *m, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t w = 0; w < m->shape.n_windows && !s; w++)
        s = run_window(m, w, m->base + w * window_floats(m), err);
    return s;
}

static enum bise_status measure_unit(struct measure *m, size_t unit, struct bise_error *err) {
    const size_t vocab = m->shape.vocab, n = (size_t)m->shape.n_windows * m->shape.run;
    struct divergence d;
    enum bise_status s = BISE_OK;
    if (!divergence_init(&d, n))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu divergences", n);
    exchange(m, unit, false);
    for (size_t w = 0; w < m->shape.n_windows && !s; w++) {
        const float *base = m->base + w * window_floats(m);
        s = run_window(m, w, m->logits, err);
        for (size_t i = 0; i < m->shape.run && !s; i++) {
            const struct softmax of_base = softmax_of(base + i * vocab, vocab);
            const struct softmax of_model = softmax_of(m->logits + i * vocab, vocab);
            divergence_add(&d, &of_base, &of_model, m->ids[w * m->shape.window + i + 1]);
        }
    }
    exchange(m, unit, true);
    m->mix->units[unit].loss = tally_mean(&d.mean).value;
    if (!s)
        listener_detail(m->listener, "%-44s as i4: KL %.3e", m->mix->units[unit].name,
                        m->mix->units[unit].loss);
    divergence_free(&d);
    m->n_done++;
    return s;
}

/* ---- setting up ----------------------------------------------------------------------------- */

static enum bise_status check_model(const struct measure *m, struct bise_error *err) {
    for (size_t i = 0; i < m->mix->n_tensors; i++) {
        const struct tensor *t = &m->model->tensors[i];
        if (m->mix->unit_of[i] != MIX_NONE && t->type != TYPE_F32 && t->type != TYPE_BF16)
            return bise_fail(err, BISE_ERR_ARG,
                             "--sensitivity: expected a source of f32 or bf16, found %s of type %s",
                             t->name, tensor_type_name(t->type));
    }
    return BISE_OK;
}

static enum bise_status allocate(struct measure *m, int n_threads, struct bise_error *err) {
    size_t *unit_bytes = calloc(m->mix->n_units + 1, sizeof *unit_bytes), k = TILE_K;
    for (size_t i = 0; unit_bytes && i < m->mix->n_tensors; i++) {
        const size_t u = m->mix->unit_of[i];
        if (u == MIX_NONE)
            continue;
        unit_bytes[u] += bytes_of(&m->model->tensors[i]);
        m->spare_bytes = unit_bytes[u] > m->spare_bytes ? unit_bytes[u] : m->spare_bytes;
        k = m->model->tensors[i].w.k > k ? m->model->tensors[i].w.k : k;
    }
    m->spare = mem_alloc(m->spare_bytes);
    m->base = malloc((size_t)m->shape.n_windows * window_floats(m) * sizeof *m->base);
    m->logits = malloc(window_floats(m) * sizeof *m->logits);
    const bool good = unit_bytes && m->spare && m->base && m->logits;
    free(unit_bytes);
    if (!good)
        return bise_fail(err, BISE_ERR_MEMORY, "--sensitivity: no memory");
    return jobs_open(&m->jobs, NULL, n_threads,
                     round_up(panel_bytes(TYPE_I4, k), 64) +
                         ((PANEL_ROWS + 1) * k + quantize_scratch_floats(k)) * sizeof(float),
                     err);
}

static enum bise_status set_up(struct measure *m, const int32_t *ids, size_t n, int n_threads,
                               struct bise_error *err) {
    const size_t used = n < SENSITIVITY_TOKENS ? n : SENSITIVITY_TOKENS;
    enum bise_status s = check_model(m, err);
    if (!s)
        s = eval_whole(ids, used, SENSITIVITY_SEQUENCE, config_text_bos(&m->model->config), &m->ids,
                       &m->shape, err);
    m->shape.vocab = m->model->config.vocab_size;
    const struct bise_engine_params params = {.n_ctx = SENSITIVITY_SEQUENCE + 1,
                                              .chunk = SENSITIVITY_SEQUENCE + 1,
                                              .n_threads = n_threads,
                                              .kv = BISE_KV_F32,
                                              .window = -1};
    if (!s)
        s = bise_session_open(&m->session, m->model, &params, err);
    return s ? s : allocate(m, n_threads, err);
}

enum bise_status sensitivity_measure(struct mix *m, struct bise_model *model, const int32_t *ids,
                                     size_t n, const struct moments *moments, int n_threads,
                                     const struct listener *listener, struct bise_error *err) {
    struct measure all = {.mix = m, .model = model, .moments = moments, .listener = listener};
    enum bise_status s = set_up(&all, ids, n, n_threads, err);
    const double started = seconds_now();
    if (!s)
        s = run_base(&all, err);
    if (!s)
        listener_note(listener, "measuring what %zu matrices lose: about %.0f s", m->n_units,
                      (seconds_now() - started) * (double)m->n_units);
    listener_begin(listener, "measuring", WORK_MATRICES, 0);
    for (size_t u = 0; u < m->n_units && !s; u++)
        s = measure_unit(&all, u, err);
    listener_end(listener);
    bise_session_close(&all.session);
    jobs_close(&all.jobs);
    mem_free(all.spare, all.spare_bytes);
    free(all.base);
    free(all.logits);
    free(all.ids);
    return s;
}
