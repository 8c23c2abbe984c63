/* A random .bise file, drawn directly in panels. */
#include "tools/cmd/synth.h"

#include "quant/round/quantize.h"
#include "quant/types.h"
#include "quant/write/writer.h"
#include "src/base/error.h"
#include "src/os/jobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)2 << 20) /* about what a task makes and writes */

/* What the tasks of one tensor share. */
struct job {
    const struct synth *synth;
    struct writer *writer;
    const struct writer_tensor *tensor;
    size_t index, panel_bytes, n_panels, panels_per_task;
    float std;
    struct jobs jobs;
};

static void random_bytes(uint8_t *out, size_t n, struct random_state *r) {
    for (size_t i = 0; i < n; i += 8) {
        const uint64_t u = random_u64(r);
        memcpy(out + i, &u, 8);
    }
}

/* Root mean square of a uniformly drawn code's value. */
static double code_rms(enum tensor_type type) {
    double sum = 0;
    if (type == TYPE_I8)
        return sqrt(127.0 * 128 / 3);
    for (unsigned i = 0; i < CODEBOOK_SIZE; i++)
        sum += (double)codebook_default[i] * codebook_default[i];
    return sqrt(sum / CODEBOOK_SIZE);
}

#define SCALE_LOW 64 /* block scales are drawn from +-(64..127) */
#define SCALE_RMS 97.2

/* Codes of one tile, bytes [code_bytes]; rows beyond n_rows are zero. */
static void fill_codes(uint8_t *codes, size_t code_bytes, enum tensor_type type, size_t n_rows,
                       struct random_state *r) {
    random_bytes(codes, code_bytes, r);
    if (type == TYPE_I8) /* -128 is no code */
        for (size_t i = 0; i < code_bytes; i++)
            codes[i] = codes[i] == 128 ? 127 : codes[i];
    for (size_t line = 0; line < code_bytes; line += 64)
        memset(codes + line + 4 * n_rows, 0, 64 - 4 * n_rows);
}

static void fill_quantized(uint8_t *panel, const struct job *job, size_t n_rows,
                           struct random_state *r) {
    const enum tensor_type type = job->tensor->type;
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const size_t cols = job->tensor->cols;
    const double row_scale = job->std / (code_rms(type) * SCALE_RMS);
    memset(panel, 0, PANEL_HEAD);
    for (size_t row = 0; row < n_rows; row++) {
        const float scale = (float)(row_scale * (0.9 + 0.2 * random_unit(r)));
        memcpy(panel + 4 * row, &scale, sizeof scale);
    }
    uint8_t *tile = panel + PANEL_HEAD;
    for (size_t k = 0; k < cols; k += TILE_K, tile += tile_bytes) {
        random_bytes(tile, TILE_SCALES, r);
        for (size_t i = 0; i < TILE_SCALES; i++) {
            const int magnitude = SCALE_LOW + tile[i] % 64, sign = tile[i] & 128 ? -1 : 1;
            const bool padding = i % PANEL_ROWS >= n_rows || k + i / PANEL_ROWS * BLOCK_K >= cols;
            tile[i] = padding ? 0 : (uint8_t)(int8_t)(sign * magnitude);
        }
        fill_codes(tile + TILE_SCALES, tile_bytes - TILE_SCALES, type, n_rows, r);
    }
}

/* f32 and bf16 panels: a line of 16 rows for each k; padding zero. */
static void fill_plain(uint8_t *panel, const struct job *job, size_t n_rows,
                       struct random_state *r) {
    const enum tensor_type type = job->tensor->type;
    const size_t width = type == TYPE_F32 ? 4 : 2, line = PANEL_ROWS * width;
    const size_t n = (size_t)job->tensor->cols * PANEL_ROWS;
    if (type == TYPE_F32)
        synth_floats((float *)(void *)panel, n, job->synth->normal, 0, job->std, r);
    else
        synth_bf16((uint16_t *)(void *)panel, n, job->synth->normal, 0, job->std, r);
    for (size_t at = 0; n_rows < PANEL_ROWS && at < n * width; at += line)
        memset(panel + at + n_rows * width, 0, line - n_rows * width);
    memset(panel + n * width, 0, job->panel_bytes - n * width);
}

static void fill_panel(uint8_t *panel, const struct job *job, size_t index) {
    struct random_state r = synth_stream(job->synth, job->index, index);
    const size_t left = job->tensor->rows - index * PANEL_ROWS;
    const size_t n_rows = left < PANEL_ROWS ? left : PANEL_ROWS;
    if (job->tensor->type == TYPE_I4 || job->tensor->type == TYPE_I8)
        fill_quantized(panel, job, n_rows, &r);
    else
        fill_plain(panel, job, n_rows, &r);
}

static enum bise_status fill_task(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *err) {
    const struct job *job = arg;
    const size_t first = task * job->panels_per_task;
    const size_t left = job->n_panels - first;
    const size_t n = left < job->panels_per_task ? left : job->panels_per_task;
    (void)thread;
    if (job->tensor->is_vector) { /* a norm: near 1 */
        struct random_state r = synth_stream(job->synth, job->index, 0);
        synth_floats(buffer, job->tensor->cols, job->synth->normal, 1, 0.1f, &r);
    }
    for (size_t i = 0; !job->tensor->is_vector && i < n; i++)
        fill_panel((uint8_t *)buffer + i * job->panel_bytes, job, first + i);
    return writer_put(job->writer, job->index, first * job->panel_bytes, buffer,
                      n * job->panel_bytes, err);
}

/* Draws and writes tensor job->index with all threads. */
static enum bise_status write_tensor(struct job *job, struct bise_error *err) {
    const struct writer_tensor *t = job->tensor;
    job->panel_bytes = t->is_vector ? (size_t)t->cols * sizeof(float)
                                    : panel_bytes(t->type, round_up(t->cols, TILE_K));
    job->n_panels = t->is_vector ? 1 : (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    job->panels_per_task = job->panel_bytes < PIECE_BYTES ? PIECE_BYTES / job->panel_bytes : 1;
    job->std = synth_std(t->name, t->cols);
    const size_t n_tasks = (job->n_panels + job->panels_per_task - 1) / job->panels_per_task;
    writer_set_tensor(job->writer, job->index, t->type == TYPE_I4 ? codebook_default : NULL, NAN);
    return jobs_run(&job->jobs, fill_task, job, n_tasks, err);
}

static enum bise_status write_all_tensors(struct synth *s, struct job *job,
                                          const struct writer_tensor *tensors, size_t n,
                                          struct bise_error *err) {
    uint64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        job->index = i;
        job->tensor = &tensors[i];
        const enum bise_status status = write_tensor(job, err);
        if (status != BISE_OK)
            return status;
        done += writer_tensor_bytes(job->writer, i);
        progress_show(&s->progress, done, writer_file_bytes(job->writer));
        if (interrupted())
            return bise_fail(err, BISE_ERR_INTERRUPTED, "interrupted: nothing was written");
    }
    return BISE_OK;
}

/* Writes it, under its name, or (model not NULL) without one, and opens that. */
static enum bise_status write_bise(struct synth *s, const char *path, struct bise_model **model,
                                   struct bise_error *err) {
    const struct type_options options = {.type = tensor_type_name(s->type)}; /* as quantize's */
    struct types types;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    struct provenance provenance = {0};
    struct job job = {.synth = s};
    size_t n = 0, largest = 0;
    enum bise_status status = types_parse(&types, &options, err);
    if (status == BISE_OK)
        status = types_apply(&types, &options, &s->config, &shapes, &tensors, &n, err);
    for (size_t i = 0; status == BISE_OK && i < n; i++) {
        const struct writer_tensor *t = &tensors[i];
        const size_t one = tensor_bytes(t->type, 1, t->cols, t->is_vector);
        largest = one > largest ? one : largest;
    }
    if (status == BISE_OK)
        status = jobs_open(&job.jobs, NULL, s->n_threads,
                           largest < PIECE_BYTES ? PIECE_BYTES : largest, err);
    snprintf(provenance.source, sizeof provenance.source, "random weights, seed %llu",
             (unsigned long long)s->seed);
    snprintf(provenance.recipe, sizeof provenance.recipe, "bise synth, %s",
             tensor_type_name(s->type));
    if (status == BISE_OK)
        status = writer_open(&job.writer, path,
                             &(struct writer_plan){.config = &s->config,
                                                   .provenance = &provenance,
                                                   .tensors = tensors,
                                                   .n_tensors = n,
                                                   .kind = model ? WRITER_NAMELESS : WRITER_NEW},
                             err);
    if (status == BISE_OK)
        status = write_all_tensors(s, &job, tensors, n, err);
    if (status == BISE_OK && model) {
        const struct bise_model_params params = {.n_threads = s->n_threads};
        status = writer_seal(job.writer, err);
        if (status == BISE_OK)
            status = bise_model_open(model, writer_temp_path(job.writer), &params, err);
    } else if (status == BISE_OK) {
        status = writer_finish(&job.writer, err);
    }
    writer_abort(&job.writer);
    jobs_close(&job.jobs);
    types_close(&types);
    free(tensors);
    free(shapes);
    return status;
}

enum bise_status synth_write_bise(struct synth *s, const char *path, struct bise_error *err) {
    return write_bise(s, path, NULL, err);
}

enum bise_status synth_open_bise(struct synth *s, const char *path, struct bise_model **model,
                                 struct bise_error *err) {
    *model = NULL;
    return write_bise(s, path, model, err);
}
