#include "quant/layer_model.h"

#include "quant/round/quantize.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "src/model/shape.h"
#include "src/os/jobs.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define TASK_ROWS 64 /* rows that a task reads and rounds */

struct layer_model {
    const struct source *source;
    struct bise_model model;
    struct tensor_shape *shapes; /* of the model's tensors, in their order */
    uint8_t *memory;             /* all panels and vectors */
    size_t bytes;
    struct jobs jobs;  /* buffers: rows, then scratch */
    size_t rows_bytes; /* of these */
    struct bise_session *session;
};

static enum tensor_type type_of(const struct tensor_shape *s) {
    return s->is_vector || s->is_router ? TYPE_F32 : TYPE_I8;
}

/* Names, shapes and places of all tensors of a one-layer model; the embeddings, which are not run,
 * have one row. */
static enum bise_status make_tensors(struct layer_model *m, struct bise_error *err) {
    struct bise_model *const model = &m->model;
    enum bise_status s = config_shapes(&model->config, &m->shapes, &model->n_tensors, err);
    if (s != BISE_OK)
        return s;
    model->tensors = calloc(model->n_tensors, sizeof *model->tensors);
    if (!model->tensors)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu tensors", model->n_tensors);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const struct tensor_shape *const from = &m->shapes[i];
        struct tensor *const t = &model->tensors[i];
        memcpy(t->name, from->name, sizeof t->name);
        t->type = type_of(from);
        t->rows = from->rows;
        t->cols = from->cols;
        t->is_vector = from->is_vector;
        t->length = tensor_bytes(t->type, t->rows, t->cols, t->is_vector);
        t->offset = m->bytes;
        t->w.k = round_up(t->cols, TILE_K);
        m->bytes += round_up((size_t)t->length, 64);
    }
    m->memory = mem_alloc(m->bytes);
    if (!m->memory)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a layer of %zu bytes", m->bytes);
    for (size_t i = 0; i < model->n_tensors; i++)
        model->tensors[i].w.panels = m->memory + model->tensors[i].offset;
    model->info.weight_bytes = m->bytes;
    model->map_is_copy = true;
    return model_bind(model, "one layer", err);
}

static enum bise_status open_jobs(struct layer_model *m, struct bise_error *err) {
    size_t cols = 0;
    for (size_t i = 0; i < m->model.n_tensors; i++)
        cols = m->shapes[i].cols > cols ? m->shapes[i].cols : cols;
    m->rows_bytes = round_up(TASK_ROWS * cols * sizeof(float), 64);
    return jobs_open(&m->jobs, m->session->engine->pool, 0,
                     m->rows_bytes + quantize_scratch_floats(cols) * sizeof(float), err);
}

enum bise_status layer_model_open(struct layer_model **out, const struct source *source,
                                  int n_threads, uint32_t n_ctx, uint32_t chunk,
                                  struct bise_error *err) {
    struct layer_model *m = calloc(1, sizeof *m);
    const struct bise_engine_params params = {
        .n_ctx = n_ctx, .chunk = chunk, .n_threads = n_threads, .kv = BISE_KV_F32, .window = -1};
    *out = NULL;
    if (!m)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a layer");
    m->source = source;
    m->model.config = *source_config(source);
    m->model.config.n_layers = 1;
    m->model.config.vocab_size = 1;
    m->model.config.tied_head = true;
    enum bise_status s = make_tensors(m, err);
    if (s == BISE_OK)
        s = bise_session_open(&m->session, &m->model, &params, err);
    if (s == BISE_OK)
        s = open_jobs(m, err);
    if (s == BISE_OK)
        *out = m;
    else
        layer_model_close(&m);
    return s;
}

void layer_model_close(struct layer_model **mp) {
    struct layer_model *const m = mp ? *mp : NULL;
    if (!m)
        return;
    jobs_close(&m->jobs);
    bise_session_close(&m->session);
    model_unbind(&m->model);
    mem_free(m->memory, m->bytes);
    free(m->model.tensors);
    free(m->shapes);
    free(m);
    *mp = NULL;
}

/* ---- loading -------------------------------------------------------------------------------- */

struct load_arg {
    struct layer_model *m;
    const struct tensor *to;
    size_t index; /* of the source's tensor */
};

static enum bise_status load_task(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *err) {
    const struct load_arg *const a = arg;
    const struct tensor *const t = a->to;
    float *const rows = buffer, *const scratch = (void *)((uint8_t *)buffer + a->m->rows_bytes);
    const size_t row = task * TASK_ROWS, left = t->rows - row;
    const size_t n = left < TASK_ROWS ? left : TASK_ROWS, bytes = panel_bytes(t->type, t->w.k);
    const struct rounding how = {.type = t->type};
    struct rounding_sums sums = {0};
    uint8_t *const to = a->m->memory + t->offset + row / PANEL_ROWS * bytes;
    (void)thread;
    const enum bise_status s =
        source_read_rows(a->m->source, a->index, (uint32_t)row, (uint32_t)n, rows, err);
    if (s != BISE_OK)
        return s;
    if (t->is_vector)
        memcpy(to, rows, t->cols * sizeof *rows);
    for (size_t r = 0; r < n && !t->is_vector; r += PANEL_ROWS)
        quantize_panel(to + r / PANEL_ROWS * bytes, &how, rows + r * t->cols,
                       n - r < PANEL_ROWS ? n - r : PANEL_ROWS, t->cols, scratch, &sums);
    return BISE_OK;
}

/* Place in the source of a tensor of the one layer, as that of layer number `layer`. */
static size_t source_index(const struct layer_model *m, size_t i, size_t layer) {
    const size_t per_layer = m->model.n_tensors - 2; /* without embeddings and norm */
    return i + layer * per_layer;
}

enum bise_status layer_model_load(struct layer_model *m, size_t layer, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t i = 1; i + 1 < m->model.n_tensors && s == BISE_OK; i++) {
        struct load_arg arg = {m, &m->model.tensors[i], source_index(m, i, layer)};
        s = jobs_run(&m->jobs, load_task, &arg, (arg.to->rows + TASK_ROWS - 1) / TASK_ROWS, err);
    }
    return s;
}

struct bise_session *layer_model_session(struct layer_model *m) {
    return m->session;
}

const struct model_config *layer_model_config(const struct layer_model *m) {
    return &m->model.config;
}
