#include "quant/gptq/moments.h"

#include "src/base/error.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* Columns that one task sums up: every sum has one order, whatever the threads. */
#define TASK_COLS (2 * TILE_K)

struct sum_arg {
    const struct observation *o;
    double *sums;
    size_t cols;
};

static void sum_task(void *arg, size_t task, int thread) {
    const struct sum_arg *const a = arg;
    const size_t at = task * TASK_COLS, left = a->cols - at;
    const size_t n = left < TASK_COLS ? left : TASK_COLS;
    float x[TASK_COLS];
    (void)thread;
    for (size_t i = 0; i < a->o->n; i++) {
        observed_get(x, a->o, i, at, round_up(n, TILE_K));
        for (size_t c = 0; c < n; c++)
            a->sums[at + c] += (double)x[c] * (double)x[c];
    }
}

static void see(void *user, struct pool *pool, const struct observation *o) {
    struct moments *const m = user;
    const size_t i = stats_index(m->config, o->layer, o->input, o->expert);
    struct stats_entry *const entry = &m->stats.entries[i];
    struct sum_arg arg = {o, m->sums[i], entry->cols};
    pool_run(pool, sum_task, &arg, (entry->cols + TASK_COLS - 1) / TASK_COLS);
    entry->count += o->n;
}

enum bise_status moments_open(struct moments *m, const struct model_config *config,
                              struct bise_error *err) {
    *m = (struct moments){.config = config, .observer = {see, m}};
    const enum bise_status s = stats_open(&m->stats, config, err);
    if (s != BISE_OK)
        return s;
    m->sums = calloc(m->stats.n, sizeof *m->sums);
    bool ok = m->sums != NULL;
    for (size_t i = 0; i < m->stats.n && ok; i++) {
        m->sums[i] = calloc(m->stats.entries[i].cols, sizeof **m->sums);
        ok = m->sums[i] != NULL;
    }
    if (ok)
        return BISE_OK;
    moments_close(m);
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for sums of squares");
}

void moments_reset(struct moments *m) {
    for (size_t i = 0; i < m->stats.n; i++) {
        struct stats_entry *const entry = &m->stats.entries[i];
        entry->count = 0;
        memset(m->sums[i], 0, entry->cols * sizeof **m->sums);
        memset(entry->moments, 0, entry->cols * sizeof *entry->moments);
    }
}

void moments_close(struct moments *m) {
    for (size_t i = 0; m->sums && i < m->stats.n; i++)
        free(m->sums[i]);
    free(m->sums);
    m->sums = NULL;
    stats_close(&m->stats);
}

/* As a float, whatever overflows in a float. */
static float moment(double x) {
    return x < (double)FLT_MAX ? (float)x : FLT_MAX;
}

const struct stats *moments_take(struct moments *m) {
    for (size_t i = 0; i < m->stats.n; i++) {
        struct stats_entry *const entry = &m->stats.entries[i];
        for (uint32_t c = 0; c < entry->cols && entry->count > 0; c++)
            entry->moments[c] = moment(m->sums[i][c] / (double)entry->count);
    }
    return &m->stats;
}
