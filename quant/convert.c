#include "quant/convert.h"

#include "quant/codebook_choice.h"
#include "quant/round/quantize.h"
#include "src/base/error.h"
#include "src/model/shape.h"
#include "src/os/mem.h"
#include "src/os/pool.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PIECE_FLOATS ((size_t)512 << 10) /* about what a task reads at once */

/* What the tasks of one tensor share. */
struct job {
    struct convert *convert;
    const struct writer_tensor *tensor;
    const float *weights; /* of its columns, or NULL */
    const int8_t *codebook;
    size_t index, panel_bytes, n_panels, panels_per_task, n_tasks;
    uint8_t *buffers; /* [n_threads] of buffer_bytes: panels, then rows, then scratch */
    size_t buffer_bytes, rows_at, scratch_at;
    struct rounding_sums *sums; /* [n_tasks], added up in order afterwards */
    enum bise_status *statuses; /* [n_threads] */
    struct bise_error *errors;  /* [n_threads] */
    uint64_t bytes_done;        /* of the source, all tensors */
    _Atomic bool stop;
};

/* Rows into panels, rows [n_rows][cols] of task number `task`. */
static void round_rows(uint8_t *out, const float *rows, float *scratch, size_t n_rows, size_t task,
                       const struct job *job) {
    const size_t cols = job->tensor->cols;
    const struct rounding how = {
        .type = job->tensor->type, .codebook = job->codebook, .weights = job->weights};
    for (size_t row = 0; row < n_rows; row += PANEL_ROWS) {
        const size_t n = n_rows - row < PANEL_ROWS ? n_rows - row : PANEL_ROWS;
        quantize_panel(out + row / PANEL_ROWS * job->panel_bytes, &how, rows + row * cols, n, cols,
                       scratch, &job->sums[task]);
    }
}

static enum bise_status convert_piece(struct job *job, size_t task, int thread,
                                      struct bise_error *err) {
    const struct writer_tensor *t = job->tensor;
    uint8_t *buffer = job->buffers + (size_t)thread * job->buffer_bytes;
    float *rows = (float *)(void *)(buffer + job->rows_at);
    const size_t first = task * job->panels_per_task, left = job->n_panels - first;
    const size_t n_panels = left < job->panels_per_task ? left : job->panels_per_task;
    const size_t row = first * PANEL_ROWS, rows_left = t->rows - row;
    const size_t n_rows = rows_left < n_panels * PANEL_ROWS ? rows_left : n_panels * PANEL_ROWS;
    const void *out = buffer;
    enum bise_status s = source_read_rows(job->convert->source, job->index, (uint32_t)row,
                                          (uint32_t)n_rows, rows, err);
    if (s)
        return s;
    if (t->is_vector)
        out = rows;
    else
        round_rows(buffer, rows, (float *)(void *)(buffer + job->scratch_at), n_rows, task, job);
    return writer_put(job->convert->writer, job->index, first * job->panel_bytes, out,
                      n_panels * job->panel_bytes, err);
}

static void convert_task(void *arg, size_t task, int thread) {
    struct job *job = arg;
    const struct convert *c = job->convert;
    enum bise_status s = BISE_OK;
    if (job->stop)
        return;
    if (thread == 0)
        s = listener_progress(c->listener, job->bytes_done, source_bytes(c->source),
                              &job->errors[thread]);
    if (!s)
        s = convert_piece(job, task, thread, &job->errors[thread]);
    job->statuses[thread] = s;
    if (s)
        job->stop = true;
}

/* Sizes of buffers that hold a piece of any tensor. */
static void plan_piece(const struct writer_tensor *t, struct job *job) {
    const size_t k = round_up(t->cols, TILE_K), cols = t->cols;
    job->panel_bytes = t->is_vector ? cols * sizeof(float) : panel_bytes(t->type, k);
    job->n_panels = (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t fit = PIECE_FLOATS / (cols * PANEL_ROWS);
    job->panels_per_task = fit > 0 ? fit : 1;
    job->n_tasks = (job->n_panels + job->panels_per_task - 1) / job->panels_per_task;
}

/* Fills buffer_bytes and what lies where in it; returns the most tasks of a tensor. */
static size_t plan_buffers(struct job *job, size_t n_tensors) {
    size_t panels = 0, rows = 0, scratch = 0, n_tasks = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        const struct writer_tensor *t = &job->convert->tensors[i];
        plan_piece(t, job);
        const size_t sizes[] = {job->panels_per_task * job->panel_bytes,
                                job->panels_per_task * PANEL_ROWS * t->cols * sizeof(float),
                                quantize_scratch_floats(t->cols) * sizeof(float)};
        panels = sizes[0] > panels ? sizes[0] : panels;
        rows = sizes[1] > rows ? sizes[1] : rows;
        scratch = sizes[2] > scratch ? sizes[2] : scratch;
        n_tasks = job->n_tasks > n_tasks ? job->n_tasks : n_tasks;
    }
    job->rows_at = round_up(panels, 64);
    job->scratch_at = job->rows_at + round_up(rows, 64);
    job->buffer_bytes = job->scratch_at + round_up(scratch, 64);
    return n_tasks;
}

uint64_t convert_memory(const struct convert *c, size_t n_tensors) {
    struct convert copy = *c;
    struct job job = {.convert = &copy};
    const size_t n_tasks = plan_buffers(&job, n_tensors);
    return (uint64_t)c->n_threads * job.buffer_bytes + n_tasks * sizeof *job.sums;
}

static enum bise_status alloc_buffers(struct job *job, size_t n_tensors, struct bise_error *err) {
    const size_t n_threads = (size_t)job->convert->n_threads;
    const size_t n_tasks = plan_buffers(job, n_tensors);
    job->buffers = mem_alloc(n_threads * job->buffer_bytes);
    job->sums = calloc(n_tasks, sizeof *job->sums);
    job->statuses = calloc(n_threads, sizeof *job->statuses);
    job->errors = calloc(n_threads, sizeof *job->errors);
    if (!job->buffers || !job->sums || !job->statuses || !job->errors)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu buffers of %zu bytes", n_threads,
                         job->buffer_bytes);
    return BISE_OK;
}

static void tell_tensor(const struct job *job, const struct source_tensor *from, double error) {
    const struct writer_tensor *t = job->tensor;
    const double after = (double)writer_tensor_bytes(job->convert->writer, job->index);
    listener_detail(job->convert->listener, "%-44s %-4s %10.3f MB -> %10.3f MB  error %.3e",
                    t->name, tensor_type_name(t->type), (double)from->bytes / 1e6, after / 1e6,
                    error);
}

static enum bise_status convert_tensor(struct job *job, struct pool *pool,
                                       const struct source_tensor *from, struct bise_error *err) {
    const struct writer_tensor *t = job->tensor;
    struct rounding_sums all = {0};
    if (writer_has_tensor(job->convert->writer, job->index)) {
        job->bytes_done += from->bytes;
        return BISE_OK;
    }
    plan_piece(t, job);
    job->weights = stats_weights(job->convert->stats, t->name);
    job->codebook = NULL;
    if (t->type == TYPE_I4) {
        const enum bise_status s =
            choose_codebook(&job->codebook, job->convert->source, job->index, job->weights, err);
        if (s != BISE_OK)
            return s;
    }
    for (size_t i = 0; i < job->n_tasks; i++)
        job->sums[i] = (struct rounding_sums){0};
    pool_run(pool, convert_task, job, job->n_tasks);
    for (int i = 0; i < pool_threads(pool); i++)
        if (job->statuses[i]) {
            *err = job->errors[i];
            return job->statuses[i];
        }
    for (size_t i = 0; i < job->n_tasks; i++) {
        all.error += job->sums[i].error;
        all.norm += job->sums[i].norm;
    }
    const double error = all.norm > 0 ? sqrt(all.error / all.norm) : 0;
    writer_set_tensor(job->convert->writer, job->index, job->codebook, (float)error);
    job->bytes_done += from->bytes;
    tell_tensor(job, from, error);
    return writer_tensor_done(job->convert->writer, job->index, err);
}

/* Bytes of the source's tensors that are there from an earlier run. */
static uint64_t bytes_there(const struct convert *c, const struct source_tensor *from, size_t n) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (writer_has_tensor(c->writer, i))
            bytes += from[i].bytes;
    return bytes;
}

enum bise_status convert_all(struct convert *c, struct bise_error *err) {
    struct job job = {.convert = c};
    struct pool *pool = NULL;
    size_t n;
    const struct source_tensor *from = source_tensors(c->source, &n);
    enum bise_status s = alloc_buffers(&job, n, err);
    if (!s)
        s = pool_open(&pool, c->n_threads, err);
    listener_begin(c->listener, c->name, WORK_BYTES, bytes_there(c, from, n));
    for (size_t i = 0; i < n && !s; i++) {
        job.index = i;
        job.tensor = &c->tensors[i];
        s = convert_tensor(&job, pool, &from[i], err);
    }
    listener_end(c->listener);
    pool_close(&pool);
    mem_free(job.buffers, (size_t)c->n_threads * job.buffer_bytes);
    free(job.sums);
    free(job.statuses);
    free(job.errors);
    return s;
}
