#include "quant/convert_layers.h"

#include "quant/gptq/gptq.h"
#include "quant/gptq/moments.h"
#include "quant/round/quantize.h"
#include "quant/source/source.h"
#include "quant/types.h"
#include "src/base/error.h"
#include "src/engine/session.h"
#include "src/model/model.h"
#include "src/model/shape.h"
#include "src/os/clock.h"
#include "src/os/jobs.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK        HESSIAN_TOKENS
#define MAX_HESSIANS ((size_t)3584 << 20) /* bytes of second moments at a time */
#define MAX_MATRICES 3                    /* that read one input */

/* ---- a layer as a model of its own --------------------------------------------------------- */

/* In memory, in i8, so that calibration runs on sources of any size, layer by layer. Only
 * engine_layers may run its session. */
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

/* A session of it takes sequences of up to n_ctx tokens, in chunks of at most chunk. The source
 * must outlive it. Errors: MEMORY. */
static enum bise_status layer_model_open(struct layer_model *m, const struct source *source,
                                         int n_threads, uint32_t n_ctx, uint32_t chunk,
                                         struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = n_ctx, .chunk = chunk, .n_threads = n_threads, .kv = BISE_KV_F32, .window = -1};
    m->source = source;
    m->model.config = *source_config(source);
    m->model.config.n_layers = 1;
    m->model.config.vocab_size = 1;
    m->model.config.tied_head = true;
    enum bise_status s = make_tensors(m, err);
    if (s == BISE_OK)
        s = bise_session_open(&m->session, &m->model, &params, err);
    return s == BISE_OK ? open_jobs(m, err) : s;
}

static void layer_model_close(struct layer_model *m) {
    jobs_close(&m->jobs);
    bise_session_close(&m->session);
    model_unbind(&m->model);
    mem_free(m->memory, m->bytes);
    free(m->model.tensors);
    free(m->shapes);
}

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

/* Takes in the weights of a layer. Errors: those of source_read_rows. */
static enum bise_status layer_model_load(struct layer_model *m, size_t layer,
                                         struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t i = 1; i + 1 < m->model.n_tensors && s == BISE_OK; i++) {
        struct load_arg arg = {m, &m->model.tensors[i], source_index(m, i, layer)};
        s = jobs_run(&m->jobs, load_task, &arg, (arg.to->rows + TASK_ROWS - 1) / TASK_ROWS, err);
    }
    return s;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What is known of one input of the layer at work. */
struct layer_input {
    enum input input;
    size_t expert;
    size_t tensors[MAX_MATRICES]; /* i4 matrices that read it: places in the source */
    size_t n_tensors;
    struct hessian hessian; /* open while it is summed up and used */
};

struct layers {
    const struct convert *convert;
    const struct calibration_text *text;
    struct moments *moments;
    struct layer_model model;
    struct bise_session *session;
    struct hessian_work work;
    struct moment_sums sums; /* of the layer at work */
    bool count_sums;         /* in this run of the layer */
    struct observer observer;
    struct layer_input *inputs; /* [sums.means.n] */
    float *states;              /* [sequences][length][dim]: the residual stream */
    float *chunk;               /* [CHUNK][dim] */
    int32_t *ids;               /* [length] */
    size_t n_sequences, state_bytes;
    size_t n_done, n_matrices; /* i4 matrices: rounded or there before, and all */
    struct jobs jobs;          /* buffers: work, rows, panels */
    size_t rows_at, panels_at;
};

static void see(void *user, struct pool *pool, const struct observation *o) {
    struct layers *const l = user;
    const size_t i = moments_index(l->sums.config, o->layer, o->input, o->expert);
    if (l->count_sums)
        l->sums.observer.see(l->sums.observer.user, pool, o);
    if (l->inputs[i].hessian.h)
        hessian_add(&l->inputs[i].hessian, &l->work, o);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* The residual stream before the first layer. */
static enum bise_status embed(struct layers *l, struct bise_error *err) {
    const size_t length = l->text->length, dim = l->sums.config->dim;
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < l->n_sequences && s == BISE_OK; i++) {
        text_sequence(l->text, i, l->ids);
        for (size_t t = 0; t < length && s == BISE_OK; t++)
            s = source_read_rows(l->convert->source, 0, (uint32_t)l->ids[t], 1,
                                 l->states + (i * length + t) * dim, err);
    }
    return s;
}

static size_t widest(const struct model_config *c) {
    const size_t heads = (size_t)c->n_heads * c->head_dim;
    const size_t most = heads > c->dim ? heads : c->dim;
    return most > c->ffn_dim ? most : c->ffn_dim;
}

static enum bise_status open_memory(struct layers *l, struct bise_error *err) {
    const struct model_config *const c = l->sums.config;
    const size_t cols = widest(c), length = l->text->length;
    size_t floats;
    l->n_sequences = text_sequences(l->text);
    l->rows_at = round_up(gptq_work_bytes(cols), 64);
    l->panels_at = l->rows_at + round_up(GPTQ_ROWS * cols * sizeof(float), 64);
    if (mul_ok(l->n_sequences * length, c->dim, &floats) &&
        mul_ok(floats, sizeof *l->states, &l->state_bytes))
        l->states = mem_alloc(l->state_bytes);
    l->chunk = malloc(CHUNK * (size_t)c->dim * sizeof *l->chunk);
    l->ids = malloc(length * sizeof *l->ids);
    l->inputs = calloc(l->sums.means.n, sizeof *l->inputs);
    if (!l->states || !l->chunk || !l->ids || !l->inputs)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for calibrating with %zu tokens",
                         l->n_sequences * length);
    const enum bise_status s = jobs_open(
        &l->jobs, l->session->engine->pool, 0,
        l->panels_at + GPTQ_ROWS / PANEL_ROWS * panel_bytes(TYPE_I4, round_up(cols, TILE_K)), err);
    return s ? s
             : hessian_work_open(&l->work, &l->session->engine->kernels, l->session->engine->pool,
                                 round_up(cols, TILE_K), err);
}

static enum bise_status layers_open(struct layers *l, struct bise_error *err) {
    const size_t length = l->text->length;
    enum bise_status s =
        layer_model_open(&l->model, l->convert->source, l->convert->n_threads, (uint32_t)length,
                         (uint32_t)(length < CHUNK ? length : CHUNK), err);
    if (s != BISE_OK)
        return s;
    l->session = l->model.session;
    s = moment_sums_open(&l->sums, &l->model.model.config, err);
    if (s == BISE_OK)
        s = open_memory(l, err);
    if (s == BISE_OK)
        s = embed(l, err);
    l->observer = (struct observer){see, l};
    session_observe(l->session, &l->observer);
    return s;
}

static void layers_close(struct layers *l) {
    for (size_t i = 0; l->inputs && i < l->sums.means.n; i++)
        hessian_close(&l->inputs[i].hessian);
    free(l->inputs);
    free(l->chunk);
    free(l->ids);
    mem_free(l->states, l->state_bytes);
    jobs_close(&l->jobs);
    hessian_work_close(&l->work);
    moment_sums_close(&l->sums);
    layer_model_close(&l->model);
}

/* ---- one layer ------------------------------------------------------------------------------ */

/* Runs the layer over all sequences; with advance, its output becomes the states. */
static enum bise_status run_layer(struct layers *l, bool advance, struct bise_error *err) {
    const size_t length = l->text->length, dim = l->sums.config->dim;
    const size_t chunk = l->session->engine->plan.chunk;
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < l->n_sequences && s == BISE_OK; i++) {
        bise_reset(l->session);
        for (size_t at = 0; at < length && s == BISE_OK; at += chunk) {
            const size_t n = length - at < chunk ? length - at : chunk;
            float *const states = l->states + (i * length + at) * dim;
            memcpy(l->chunk, states, n * dim * sizeof *states);
            s = listener_progress(l->convert->listener, l->n_done, l->n_matrices, err);
            if (s == BISE_OK)
                s = engine_layers(l->session->engine, l->chunk, n, err);
            if (s == BISE_OK && advance)
                memcpy(states, l->chunk, n * dim * sizeof *states);
        }
    }
    return s;
}

struct round_arg {
    struct layers *l;
    const struct gptq *gptq;
    size_t index;
    const struct writer_tensor *tensor;
    struct rounding_sums *sums; /* [n_tasks] */
};

static enum bise_status round_task(void *arg, size_t task, int thread, void *buffer,
                                   struct bise_error *err) {
    const struct round_arg *const a = arg;
    const struct layers *const l = a->l;
    uint8_t *const own = buffer;
    float *const rows = (float *)(void *)(own + l->rows_at);
    const size_t row = task * GPTQ_ROWS, left = a->tensor->rows - row;
    const size_t n = left < GPTQ_ROWS ? left : GPTQ_ROWS;
    const size_t bytes = panel_bytes(TYPE_I4, a->gptq->hessian->k);
    enum bise_status s =
        thread == 0 ? listener_progress(l->convert->listener, l->n_done, l->n_matrices, err)
                    : BISE_OK;
    if (s == BISE_OK)
        s = source_read_rows(l->convert->source, a->index, (uint32_t)row, (uint32_t)n, rows, err);
    if (s == BISE_OK) {
        gptq_round(a->gptq, own + l->panels_at, rows, n, own, &a->sums[task]);
        s = writer_put(l->convert->writer, a->index, row / PANEL_ROWS * bytes, own + l->panels_at,
                       (n + PANEL_ROWS - 1) / PANEL_ROWS * bytes, err);
    }
    return s;
}

static enum bise_status round_matrix(struct layers *l, const struct gptq *gptq, size_t index,
                                     const int8_t *codebook, struct bise_error *err) {
    const struct writer_tensor *const t = &l->convert->tensors[index];
    const size_t n_tasks = (t->rows + GPTQ_ROWS - 1) / GPTQ_ROWS;
    struct round_arg arg = {.l = l, .gptq = gptq, .index = index, .tensor = t};
    arg.sums = calloc(n_tasks, sizeof *arg.sums);
    enum bise_status s =
        arg.sums ? jobs_run(&l->jobs, round_task, &arg, n_tasks, err)
                 : bise_fail(err, BISE_ERR_MEMORY, "no memory for rounding %s", t->name);
    if (s == BISE_OK)
        s = convert_done(l->convert, index, codebook, arg.sums, n_tasks, err);
    l->n_done++;
    free(arg.sums);
    return s;
}

/* Factors what was summed up of an input and rounds the matrices that read it. */
static enum bise_status round_input(struct layers *l, struct layer_input *in,
                                    struct bise_error *err) {
    enum bise_status s = BISE_OK;
    struct gptq gptq = {0};
    const struct input_moments *const seen =
        &l->sums.means.entries[in - l->inputs]; /* in the same order */
    if (in->hessian.count >= MOMENTS_LEAST && hessian_factor(&in->hessian, &l->work)) {
        for (size_t i = 0; i < in->n_tensors && s == BISE_OK; i++) {
            const size_t index = in->tensors[i];
            const int8_t *codebook;
            s = choose_codebook(&codebook, l->convert->source, index, seen->squares, err);
            if (s == BISE_OK)
                s = gptq_open(&gptq, &in->hessian, &l->session->engine->kernels, codebook,
                              seen->squares, err);
            if (s == BISE_OK)
                s = round_matrix(l, &gptq, index, codebook, err);
            gptq_close(&gptq);
        }
    }
    hessian_close(&in->hessian);
    return s;
}

static size_t find_tensor(const struct layers *l, const char *name) {
    size_t n;
    const struct source_tensor *const t = source_tensors(l->convert->source, &n);
    size_t i = 0;
    while (i < n && strcmp(t[i].name, name) != 0)
        i++;
    return i;
}

/* Which i4 matrices, of those yet to be written, read each input of a layer. */
static void find_matrices(struct layers *l, size_t layer) {
    static const char *const matrices[INPUT_COUNT][MAX_MATRICES] = {
        {"wq", "wk", "wv"}, {"wo"}, {"w1", "w3"}, {"w2"}};
    const struct model_config *const c = source_config(l->convert->source);
    const size_t n_experts = c->n_experts ? c->n_experts : 1;
    for (enum input input = 0; input < INPUT_COUNT; input++)
        for (size_t e = 0; e < (input < INPUT_FFN ? 1 : n_experts); e++) {
            const struct input_moments *const named =
                &l->moments->entries[moments_index(c, layer, input, e)];
            struct layer_input *const in = &l->inputs[moments_index(l->sums.config, 0, input, e)];
            char name[64];
            *in = (struct layer_input){.input = input, .expert = e};
            for (size_t i = 0; i < MAX_MATRICES && matrices[input][i]; i++) {
                memcpy(name, named->name, sizeof name);
                memcpy(name + strlen(name) - 2, matrices[input][i], 2);
                const size_t index = find_tensor(l, name);
                if (l->convert->tensors[index].type == TYPE_I4 &&
                    !writer_has_tensor(l->convert->writer, index))
                    in->tensors[in->n_tensors++] = index;
            }
        }
}

/* Runs a layer as often as its second moments need room, and rounds. */
static enum bise_status do_layer(struct layers *l, size_t layer, struct bise_error *err) {
    const size_t n = l->sums.means.n;
    enum bise_status s = layer_model_load(&l->model, layer, err);
    moment_sums_reset(&l->sums);
    find_matrices(l, layer);
    for (size_t from = 0, to; from < n && s == BISE_OK; from = to) {
        size_t bytes = 0;
        for (to = from; to < n && s == BISE_OK; to++) {
            const size_t cols = l->sums.means.entries[to].cols;
            const size_t more = l->inputs[to].n_tensors ? hessian_bytes(cols) : 0;
            if (bytes > 0 && bytes + more > MAX_HESSIANS)
                break;
            bytes += more;
            if (more)
                s = hessian_open(&l->inputs[to].hessian, cols, err);
        }
        l->count_sums = from == 0;
        if (s == BISE_OK)
            s = run_layer(l, to == n, err);
        if (from == 0)
            moment_sums_take(&l->sums);
        for (size_t i = from; i < to && s == BISE_OK; i++)
            if (l->inputs[i].n_tensors)
                s = round_input(l, &l->inputs[i], err);
    }
    return s;
}

/* The layer's moments become those of its number in the moments of the whole. */
static void keep_moments(struct layers *l, size_t layer) {
    const size_t first =
        moments_index(source_config(l->convert->source), layer, INPUT_ATTENTION, 0);
    for (size_t i = 0; i < l->sums.means.n; i++) {
        const struct input_moments *const from = &l->sums.means.entries[i];
        struct input_moments *const to = &l->moments->entries[first + i];
        to->count = from->count;
        memcpy(to->squares, from->squares, from->cols * sizeof *from->squares);
    }
}

uint64_t convert_layers_memory(const struct model_config *c, uint64_t n_tokens, int n_threads) {
    if (n_tokens == 0)
        return 0;
    const uint64_t k = round_up(widest(c), TILE_K), n_experts = c->n_experts ? c->n_experts : 1;
    const uint64_t heads = (uint64_t)c->n_heads * c->head_dim;
    const uint64_t weights = 2 * c->dim * heads + 3 * n_experts * c->dim * (uint64_t)c->ffn_dim;
    const uint64_t moments = hessian_bytes(heads) + (1 + n_experts) * hessian_bytes(c->dim) +
                             n_experts * hessian_bytes(c->ffn_dim);
    const uint64_t least = hessian_bytes(widest(c));
    const uint64_t most = least > MAX_HESSIANS ? least : MAX_HESSIANS;
    const uint64_t per_thread = gptq_work_bytes(k) + GPTQ_ROWS * k * 5 + KERNEL_SCRATCH_BYTES;
    return n_tokens * c->dim * sizeof(float) + weights / 32 * 33 +
           (moments < most ? moments : most) + 2 * k * HESSIAN_TOKENS * sizeof(float) +
           (uint64_t)n_threads * per_thread;
}

/* Whether a matrix that minds what it reads is yet to be written. */
static bool any_left(const struct convert *c) {
    for (size_t i = 0; i < c->n_tensors; i++)
        if (is_rounded(&c->tensors[i]) && !writer_has_tensor(c->writer, i))
            return true;
    return false;
}

static void count_matrices(struct layers *l) {
    for (size_t i = 0; i < l->convert->n_tensors; i++)
        if (is_layer_matrix(&l->convert->tensors[i]) && l->convert->tensors[i].type == TYPE_I4) {
            l->n_matrices++;
            l->n_done += writer_has_tensor(l->convert->writer, i);
        }
}

enum bise_status convert_layers(const struct convert *c, const struct calibration_text *text,
                                struct moments *moments, struct bise_error *err) {
    struct layers l = {.convert = c, .text = text, .moments = moments};
    const size_t n = source_config(c->source)->n_layers;
    const double started = seconds_now();
    if (!text->ids || !any_left(c))
        return BISE_OK;
    moments_close(moments);
    enum bise_status s = moments_open(moments, source_config(c->source), err);
    count_matrices(&l);
    listener_begin(c->listener, c->name, WORK_MATRICES, l.n_done);
    if (s == BISE_OK)
        s = layers_open(&l, err);
    for (size_t layer = 0; layer < n && s == BISE_OK; layer++) {
        s = do_layer(&l, layer, err);
        if (s != BISE_OK)
            break;
        keep_moments(&l, layer);
        const double spent = seconds_now() - started;
        listener_note(c->listener, "layer %zu of %zu: %.1f s, %.0f s left", layer + 1, n, spent,
                      spent / (double)(layer + 1) * (double)(n - layer - 1));
    }
    listener_end(c->listener);
    layers_close(&l);
    if (s == BISE_OK)
        moments_report(moments, c->listener);
    return s;
}
