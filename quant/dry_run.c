#include "quant/dry_run.h"

#include "quant/round/quantize.h"
#include "quant/types.h"
#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/file.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_FLOATS  ((size_t)512 << 10)
#define SAMPLE_SECONDS 0.3 /* for each type */

/* The largest tensor of a type; n_tensors if there is none. */
static size_t largest(const struct dry_run *d, enum tensor_type type) {
    size_t best = d->convert->n_tensors;
    uint64_t most = 0;
    for (size_t i = 0; i < d->convert->n_tensors; i++) {
        const struct writer_tensor *t = &d->convert->tensors[i];
        const uint64_t n = (uint64_t)t->rows * t->cols;
        if (t->type == type && !t->is_vector && n > most) {
            most = n;
            best = i;
        }
    }
    return best;
}

struct sample {
    float *rows, *scratch;
    uint8_t *panel;
    size_t n_rows; /* read at once */
};

/* Seconds for a weight of tensor i, read and rounded again and again from row 0 on. */
static enum bise_status time_tensor(const struct dry_run *d, size_t i, struct sample *sample,
                                    double *seconds, struct bise_error *err) {
    const struct writer_tensor *t = &d->convert->tensors[i];
    const struct rounding how = {t->type, codebook_default,
                                 moments_weights(d->convert->moments, t->name)};
    struct rounding_sums sums = {0};
    const double started = seconds_now();
    double now;
    uint64_t n_weights = 0;
    uint32_t row = 0;
    do {
        const size_t left = t->rows - row;
        const size_t n = left < sample->n_rows ? left : sample->n_rows;
        const enum bise_status s =
            source_read_rows(d->convert->source, i, row, (uint32_t)n, sample->rows, err);
        if (s)
            return s;
        for (size_t r = 0; r < n; r += PANEL_ROWS)
            quantize_panel(sample->panel, &how, sample->rows + r * t->cols,
                           n - r < PANEL_ROWS ? n - r : PANEL_ROWS, t->cols, sample->scratch,
                           &sums);
        n_weights += (uint64_t)n * t->cols;
        row = n == left ? 0 : row + (uint32_t)n;
        now = seconds_now();
    } while (now - started < SAMPLE_SECONDS);
    *seconds = (now - started) / (double)n_weights;
    return BISE_OK;
}

static enum bise_status sample_tensor(const struct dry_run *d, size_t i, double *seconds,
                                      struct bise_error *err) {
    const struct writer_tensor *t = &d->convert->tensors[i];
    const size_t fit = SAMPLE_FLOATS / t->cols / PANEL_ROWS * PANEL_ROWS;
    struct sample sample = {.n_rows = fit ? fit : PANEL_ROWS};
    sample.rows = malloc(sample.n_rows * t->cols * sizeof *sample.rows);
    sample.scratch = malloc(quantize_scratch_floats(t->cols) * sizeof *sample.scratch);
    sample.panel = aligned_alloc(64, round_up(panel_bytes(t->type, round_up(t->cols, TILE_K)), 64));
    const enum bise_status s =
        sample.rows && sample.scratch && sample.panel
            ? time_tensor(d, i, &sample, seconds, err)
            : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a sample", t->name);
    free(sample.rows);
    free(sample.scratch);
    free(sample.panel);
    return s;
}

/* Seconds of one thread for everything: a sample of each type stands for all of its kind. */
static enum bise_status estimate(const struct dry_run *d, double *seconds, struct bise_error *err) {
    *seconds = 0;
    for (int type = 0; type < TYPE_COUNT; type++) {
        const size_t sampled = largest(d, (enum tensor_type)type);
        double each = 0;
        if (sampled == d->convert->n_tensors)
            continue;
        const enum bise_status s = sample_tensor(d, sampled, &each, err);
        if (s)
            return s;
        for (size_t i = 0; i < d->convert->n_tensors; i++) {
            const struct writer_tensor *t = &d->convert->tensors[i];
            if ((int)t->type == type)
                *seconds += each * (double)t->rows * (double)t->cols;
        }
    }
    return BISE_OK;
}

enum bise_status dry_run(struct dry_run *d, struct bise_error *err) {
    const struct convert *c = d->convert;
    struct mem_facts facts;
    enum bise_status s = file_disk_room(d->out_path, &d->disk_free, err);
    if (!s)
        s = estimate(d, &d->seconds, err);
    if (s)
        return s;
    mem_facts(&facts);
    d->seconds /= c->n_threads;
    d->disk_bytes = d->file_bytes + d->temp_bytes;
    d->memory_bytes = convert_memory(c) + d->extra_bytes;
    d->memory_free = facts.available < facts.limit ? facts.available : facts.limit;
    d->fits = d->disk_bytes <= d->disk_free && d->memory_bytes <= d->memory_free;
    return BISE_OK;
}
