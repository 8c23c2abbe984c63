#include "quant/convert.h"

#include "src/base/error.h"
#include "src/model/shape.h"
#include "src/os/jobs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_FLOATS ((size_t)512 << 10) /* about what a task reads at once */

/* ---- one tensor ----------------------------------------------------------------------------- */

#define SAMPLES 4    /* panels, spread over the matrix */
#define CLEARLY 0.97 /* of the default codebook's error */

enum bise_status choose_codebook(const int8_t **out, const struct source *source, size_t i,
                                 const float *weights, struct bise_error *err) {
    static const int8_t *const codebooks[] = {codebook_default, codebook_tails};
    size_t n_tensors;
    const struct source_tensor *const t = &source_tensors(source, &n_tensors)[i];
    const size_t cols = t->cols, bytes = panel_bytes(TYPE_I4, round_up(cols, TILE_K));
    const uint32_t n = t->rows < PANEL_ROWS ? t->rows : PANEL_ROWS;
    float *const rows = malloc((n * cols + quantize_scratch_floats(cols)) * sizeof *rows);
    uint8_t *const panel = aligned_alloc(64, round_up(bytes, 64));
    struct rounding_sums sums[2];
    enum bise_status s = BISE_OK;
    memset(sums, 0, sizeof sums);
    *out = codebook_default;
    if (!rows || !panel)
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for a sample of %s", t->name);
    for (uint32_t sample = 0; sample < SAMPLES && s == BISE_OK; sample++) {
        const uint32_t first = (uint32_t)((uint64_t)(t->rows - n) * sample / SAMPLES);
        s = source_read_rows(source, i, first, n, rows, err);
        for (size_t c = 0; c < 2 && s == BISE_OK; c++) {
            const struct rounding how = {
                .type = TYPE_I4, .codebook = codebooks[c], .weights = weights};
            quantize_panel(panel, &how, rows, n, cols, rows + n * cols, &sums[c]);
        }
    }
    if (s == BISE_OK && sums[1].weighted_error < CLEARLY * sums[0].weighted_error)
        *out = codebook_tails;
    free(panel);
    free(rows);
    return s;
}

void convert_heading(const struct listener *listener) {
    listener_detail(listener, "%-44s %-4s %13s    %13s  %s", "tensor", "type", "in the source",
                    "in the file", "error relative to the weights");
}

enum bise_status convert_done(const struct convert *c, size_t i, const int8_t *codebook,
                              const struct rounding_sums *sums, size_t n, struct bise_error *err) {
    const struct writer_tensor *const t = &c->tensors[i];
    size_t n_tensors;
    const double before = (double)source_tensors(c->source, &n_tensors)[i].bytes / 1e6;
    const double after = (double)writer_tensor_bytes(c->writer, i) / 1e6;
    double lost = 0, norm = 0;
    for (size_t task = 0; task < n; task++) {
        lost += sums[task].error;
        norm += sums[task].norm;
    }
    const double error = norm > 0 ? sqrt(lost / norm) : 0;
    writer_set_tensor(c->writer, i, codebook, (float)error);
    listener_detail(c->listener, "%-44s %-4s %10.3f MB -> %10.3f MB  error %.3e", t->name,
                    tensor_type_name(t->type), before, after, error);
    return writer_tensor_done(c->writer, i, err);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* What the tasks of one tensor share. */
struct job {
    const struct convert *convert;
    const struct writer_tensor *tensor;
    size_t index, panel_bytes, n_panels, panels_per_task, n_tasks;
    struct rounding how;
    struct jobs jobs; /* buffers: panels, then rows, then scratch */
    size_t buffer_bytes, rows_at, scratch_at;
    struct rounding_sums *sums; /* [n_tasks], added up in order afterwards */
    uint64_t bytes_done;        /* of the source, all tensors */
};

/* Rows into panels, rows [n_rows][cols] of task number `task`. */
static void round_rows(uint8_t *out, const float *rows, float *scratch, size_t n_rows, size_t task,
                       const struct job *job) {
    const size_t cols = job->tensor->cols;
    for (size_t row = 0; row < n_rows; row += PANEL_ROWS) {
        const size_t n = n_rows - row < PANEL_ROWS ? n_rows - row : PANEL_ROWS;
        quantize_panel(out + row / PANEL_ROWS * job->panel_bytes, &job->how, rows + row * cols, n,
                       cols, scratch, &job->sums[task]);
    }
}

static enum bise_status convert_task(void *arg, size_t task, int thread, void *buffer,
                                     struct bise_error *err) {
    const struct job *const job = arg;
    const struct convert *const c = job->convert;
    const struct writer_tensor *const t = job->tensor;
    float *const rows = (float *)(void *)((uint8_t *)buffer + job->rows_at);
    float *const scratch = (float *)(void *)((uint8_t *)buffer + job->scratch_at);
    const size_t first = task * job->panels_per_task, left = job->n_panels - first;
    const size_t n_panels = left < job->panels_per_task ? left : job->panels_per_task;
    const size_t row = first * PANEL_ROWS, rows_left = t->rows - row;
    const size_t n_rows = rows_left < n_panels * PANEL_ROWS ? rows_left : n_panels * PANEL_ROWS;
    enum bise_status s = BISE_OK;
    if (thread == 0)
        s = listener_progress(c->listener, job->bytes_done, source_bytes(c->source), err);
    if (!s)
        s = source_read_rows(c->source, job->index, (uint32_t)row, (uint32_t)n_rows, rows, err);
    if (s)
        return s;
    if (!t->is_vector)
        round_rows(buffer, rows, scratch, n_rows, task, job);
    return writer_put(c->writer, job->index, first * job->panel_bytes,
                      t->is_vector ? (const void *)rows : buffer, n_panels * job->panel_bytes, err);
}

/* Makes tensor i the one at work, and cuts it into tasks. */
static void plan_tensor(struct job *job, size_t i) {
    const struct writer_tensor *const t = &job->convert->tensors[i];
    const size_t k = round_up(t->cols, TILE_K), cols = t->cols;
    job->index = i;
    job->tensor = t;
    job->panel_bytes = t->is_vector ? cols * sizeof(float) : panel_bytes(t->type, k);
    job->n_panels = (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t fit = PIECE_FLOATS / (cols * PANEL_ROWS);
    job->panels_per_task = fit > 0 ? fit : 1;
    job->n_tasks = (job->n_panels + job->panels_per_task - 1) / job->panels_per_task;
}

/* Fills buffer_bytes, for any tensor, and what lies where in it; returns the most tasks of one. */
static size_t plan_buffers(struct job *job) {
    size_t panels = 0, rows = 0, scratch = 0, n_tasks = 0;
    for (size_t i = 0; i < job->convert->n_tensors; i++) {
        plan_tensor(job, i);
        const size_t cols = job->tensor->cols;
        const size_t sizes[] = {job->panels_per_task * job->panel_bytes,
                                job->panels_per_task * PANEL_ROWS * cols * sizeof(float),
                                quantize_scratch_floats(cols) * sizeof(float)};
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

uint64_t convert_memory(const struct convert *c) {
    struct job job = {.convert = c};
    const size_t n_tasks = plan_buffers(&job);
    return (uint64_t)c->n_threads * job.buffer_bytes + n_tasks * sizeof *job.sums;
}

static enum bise_status convert_tensor(struct job *job, size_t i, struct bise_error *err) {
    const struct convert *const c = job->convert;
    enum bise_status s = BISE_OK;
    plan_tensor(job, i);
    job->how = (struct rounding){.type = job->tensor->type,
                                 .weights = moments_weights(c->moments, job->tensor->name)};
    if (job->how.type == TYPE_I4)
        s = choose_codebook(&job->how.codebook, c->source, i, job->how.weights, err);
    memset(job->sums, 0, job->n_tasks * sizeof *job->sums);
    if (!s)
        s = jobs_run(&job->jobs, convert_task, job, job->n_tasks, err);
    return s ? s : convert_done(c, i, job->how.codebook, job->sums, job->n_tasks, err);
}

enum bise_status convert_all(const struct convert *c, struct bise_error *err) {
    struct job job = {.convert = c};
    size_t n;
    uint64_t there = 0;
    const struct source_tensor *const from = source_tensors(c->source, &n);
    const size_t n_tasks = plan_buffers(&job);
    for (size_t i = 0; i < c->n_tensors; i++)
        there += writer_has_tensor(c->writer, i) ? from[i].bytes : 0;
    enum bise_status s = jobs_open(&job.jobs, NULL, c->n_threads, job.buffer_bytes, err);
    job.sums = calloc(n_tasks, sizeof *job.sums);
    if (!s && !job.sums)
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu sums", n_tasks);
    listener_begin(c->listener, c->name, WORK_BYTES, there);
    for (size_t i = 0; i < c->n_tensors && !s; i++) {
        if (!writer_has_tensor(c->writer, i))
            s = convert_tensor(&job, i, err);
        job.bytes_done += from[i].bytes;
    }
    listener_end(c->listener);
    jobs_close(&job.jobs);
    free(job.sums);
    return s;
}
