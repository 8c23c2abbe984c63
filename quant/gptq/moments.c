#include "quant/gptq/moments.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/os/file.h"
#include "src/os/new_file.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t experts_of(const struct model_config *c) {
    return c->n_experts > 0 ? c->n_experts : 1;
}

size_t moments_index(const struct model_config *c, size_t layer, enum input input, size_t expert) {
    const size_t per_layer = 2 + 2 * experts_of(c), at = layer * per_layer;
    switch (input) {
    case INPUT_ATTENTION:
        return at;
    case INPUT_WO:
        return at + 1;
    case INPUT_FFN:
        return at + 2 + 2 * expert;
    default:
        return at + 3 + 2 * expert;
    }
}

static void name_input(char name[64], const struct model_config *c, size_t layer, enum input input,
                       size_t expert) {
    static const char *const matrix[INPUT_COUNT] = {"wq", "wo", "w1", "w2"};
    const char *const m = matrix[input];
    if (input == INPUT_ATTENTION || input == INPUT_WO)
        snprintf(name, 64, "layers.%zu.attention.%s", layer, m);
    else if (c->n_experts > 0)
        snprintf(name, 64, "layers.%zu.feed_forward.experts.%zu.%s", layer, expert, m);
    else
        snprintf(name, 64, "layers.%zu.feed_forward.%s", layer, m);
}

static uint32_t input_cols(const struct model_config *c, enum input input) {
    if (input == INPUT_WO)
        return c->n_heads * c->head_dim;
    return input == INPUT_W2 ? c->ffn_dim : c->dim;
}

enum bise_status moments_open(struct moments *s, const struct model_config *c,
                              struct bise_error *err) {
    const size_t n = moments_index(c, c->n_layers, INPUT_ATTENTION, 0);
    *s = (struct moments){.entries = calloc(n, sizeof *s->entries)};
    bool ok = s->entries != NULL;
    s->n = ok ? n : 0;
    for (size_t layer = 0; layer < c->n_layers && ok; layer++)
        for (enum input input = 0; input < INPUT_COUNT && ok; input++)
            for (size_t e = 0; e < (input < INPUT_FFN ? 1 : experts_of(c)) && ok; e++) {
                struct input_moments *const to = &s->entries[moments_index(c, layer, input, e)];
                name_input(to->name, c, layer, input, e);
                to->cols = input_cols(c, input);
                to->squares = calloc(to->cols, sizeof *to->squares);
                ok = to->squares != NULL;
            }
    if (ok)
        return BISE_OK;
    moments_close(s);
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for the statistics of %zu inputs", n);
}

void moments_close(struct moments *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->entries[i].squares);
    free(s->entries);
    *s = (struct moments){0};
}

const struct input_moments *moments_find(const struct moments *s, const char *matrix) {
    char name[64];
    const size_t len = strlen(matrix);
    if (len >= sizeof name || len < 2)
        return NULL;
    memcpy(name, matrix, len + 1);
    char *const tail = name + len - 2;
    if (strcmp(tail, "wk") == 0 || strcmp(tail, "wv") == 0)
        memcpy(tail, "wq", 2);
    else if (strcmp(tail, "w3") == 0)
        memcpy(tail, "w1", 2);
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->entries[i].name, name) == 0)
            return &s->entries[i];
    return NULL;
}

const float *moments_weights(const struct moments *s, const char *matrix) {
    const struct input_moments *const e = s ? moments_find(s, matrix) : NULL;
    return e && e->count >= MOMENTS_LEAST ? e->squares : NULL;
}

enum bise_status moments_check(const struct moments *s, const struct model_config *c,
                               const char *path, struct bise_error *err) {
    struct moments want;
    enum bise_status status = moments_open(&want, c, err);
    if (status != BISE_OK)
        return status;
    if (s->n != want.n)
        status = bise_fail(err, BISE_ERR_FORMAT,
                           "%s: statistics of another model: expected %zu inputs, found %zu", path,
                           want.n, s->n);
    for (size_t i = 0; i < want.n && status == BISE_OK; i++) {
        const struct input_moments *const a = &want.entries[i], *const b = &s->entries[i];
        if (strcmp(a->name, b->name) != 0 || a->cols != b->cols)
            status = bise_fail(err, BISE_ERR_FORMAT,
                               "%s: statistics of another model: expected %s of %u columns, found "
                               "%s of %u",
                               path, a->name, a->cols, b->name, b->cols);
    }
    moments_close(&want);
    return status;
}

/* ---- summed up ------------------------------------------------------------------------------- */

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
    struct moment_sums *const m = user;
    const size_t i = moments_index(m->config, o->layer, o->input, o->expert);
    struct input_moments *const entry = &m->means.entries[i];
    struct sum_arg arg = {o, m->sums[i], entry->cols};
    pool_run(pool, sum_task, &arg, (entry->cols + TASK_COLS - 1) / TASK_COLS);
    entry->count += o->n;
}

enum bise_status moment_sums_open(struct moment_sums *m, const struct model_config *config,
                                  struct bise_error *err) {
    *m = (struct moment_sums){.config = config, .observer = {see, m}};
    const enum bise_status s = moments_open(&m->means, config, err);
    if (s != BISE_OK)
        return s;
    m->sums = calloc(m->means.n, sizeof *m->sums);
    bool ok = m->sums != NULL;
    for (size_t i = 0; i < m->means.n && ok; i++) {
        m->sums[i] = calloc(m->means.entries[i].cols, sizeof **m->sums);
        ok = m->sums[i] != NULL;
    }
    if (ok)
        return BISE_OK;
    moment_sums_close(m);
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for sums of squares");
}

void moment_sums_reset(struct moment_sums *m) {
    for (size_t i = 0; i < m->means.n; i++) {
        struct input_moments *const entry = &m->means.entries[i];
        entry->count = 0;
        memset(m->sums[i], 0, entry->cols * sizeof **m->sums);
        memset(entry->squares, 0, entry->cols * sizeof *entry->squares);
    }
}

void moment_sums_close(struct moment_sums *m) {
    for (size_t i = 0; m->sums && i < m->means.n; i++)
        free(m->sums[i]);
    free(m->sums);
    m->sums = NULL;
    moments_close(&m->means);
}

/* As a float, whatever overflows in a float. */
static float moment(double x) {
    return x < (double)FLT_MAX ? (float)x : FLT_MAX;
}

const struct moments *moment_sums_take(struct moment_sums *m) {
    for (size_t i = 0; i < m->means.n; i++) {
        struct input_moments *const entry = &m->means.entries[i];
        for (uint32_t c = 0; c < entry->cols && entry->count > 0; c++)
            entry->squares[c] = moment(m->sums[i][c] / (double)entry->count);
    }
    return &m->means;
}

/* ---- as files -------------------------------------------------------------------------------- */

/* Offsets; u32 where no type is given. */
enum { AT_VERSION = 8, AT_CRC = 12, AT_FILE_BYTES = 16 /* u64 */, AT_N = 24, AT_UNUSED = 28 };
enum { ENTRY_COLS = 64, ENTRY_UNUSED = 68, ENTRY_COUNT = 72 /* u64 */ };

#define MOMENTS_MAX_BYTES ((size_t)1 << 30)

/* ---- reading -------------------------------------------------------------------------------- */

/* What the first bytes must say before anything behind them is looked at. */
static enum bise_status check_header(const uint8_t *data, size_t len, const char *path,
                                     struct bise_error *err) {
    if (len < MOMENTS_HEADER || memcmp(data, MOMENTS_MAGIC, 8) != 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: not a file of statistics (bise calibrate)",
                         path);
    const uint32_t version = get_u32(data + AT_VERSION), n = get_u32(data + AT_N);
    if (version != MOMENTS_VERSION)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: statistics of version %u, known is %u",
                         path, version, MOMENTS_VERSION);
    if (get_u64(data + AT_FILE_BYTES) != len)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected %llu bytes, found %zu", path,
                         (unsigned long long)get_u64(data + AT_FILE_BYTES), len);
    static const uint8_t zeros[4];
    const uint32_t crc = crc32c(crc32c(crc32c(0, data, AT_CRC), zeros, sizeof zeros),
                                data + AT_FILE_BYTES, len - AT_FILE_BYTES);
    if (crc != get_u32(data + AT_CRC))
        return bise_fail(err, BISE_ERR_FORMAT, "%s is damaged: its checksum does not match", path);
    if (!all_zero(data + AT_UNUSED, MOMENTS_HEADER - AT_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: bytes that should be zero are not", path);
    if (n == 0 || n > (len - MOMENTS_HEADER) / MOMENTS_ENTRY)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a table of %u inputs in %zu bytes", path, n,
                         len);
    return BISE_OK;
}

static bool name_is_good(const uint8_t *name) {
    size_t len = 0;
    while (len < 64 && name[len])
        len++;
    for (size_t i = 0; i < 64; i++) {
        const uint8_t c = name[i];
        const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
        if (i < len ? !good : c != 0)
            return false;
    }
    return len > 0 && len < 64;
}

/* Entry i, whose moments are the next in [*at, end); moves *at on. */
static enum bise_status read_entry(struct input_moments *to, const uint8_t *data, size_t i,
                                   size_t *at, size_t end, const char *path,
                                   struct bise_error *err) {
    const uint8_t *const entry = data + MOMENTS_HEADER + i * MOMENTS_ENTRY;
    const uint32_t cols = get_u32(entry + ENTRY_COLS);
    if (!name_is_good(entry))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: the name of input %zu", path, i);
    memcpy(to->name, entry, 64);
    if (cols == 0 || cols > MAX_DIM || cols > (end - *at) / 4 || get_u32(entry + ENTRY_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: %s: %u columns in %zu bytes", path, to->name,
                         cols, end - *at);
    to->cols = cols;
    to->count = get_u64(entry + ENTRY_COUNT);
    to->squares = malloc(cols * sizeof *to->squares);
    if (!to->squares)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %u columns", path, cols);
    for (uint32_t c = 0; c < cols; c++) {
        to->squares[c] = get_f32(data + *at + 4 * (size_t)c);
        if (!all_finite(&to->squares[c], 1) || to->squares[c] < 0)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: %s, column %u: expected a mean of squares, found %g", path,
                             to->name, c, (double)to->squares[c]);
    }
    *at += 4 * (size_t)cols;
    return BISE_OK;
}

enum bise_status moments_decode(struct moments *s, const uint8_t *data, size_t len,
                                const char *path, struct bise_error *err) {
    *s = (struct moments){0};
    enum bise_status status = check_header(data, len, path, err);
    if (status != BISE_OK)
        return status;
    const size_t n = get_u32(data + AT_N);
    size_t at = MOMENTS_HEADER + n * MOMENTS_ENTRY;
    s->entries = calloc(n, sizeof *s->entries);
    if (!s->entries)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu inputs", path, n);
    s->n = n;
    for (size_t i = 0; i < n && status == BISE_OK; i++)
        status = read_entry(&s->entries[i], data, i, &at, len, path, err);
    if (status == BISE_OK && at != len)
        status =
            bise_fail(err, BISE_ERR_FORMAT, "%s: %zu bytes behind the last input", path, len - at);
    if (status != BISE_OK)
        moments_close(s);
    return status;
}

enum bise_status moments_read(struct moments *s, const char *path, struct bise_error *err) {
    uint8_t *data = NULL;
    size_t len = 0;
    *s = (struct moments){0};
    enum bise_status status = file_read_whole(path, MOMENTS_MAX_BYTES, &data, &len, err);
    if (status == BISE_OK)
        status = moments_decode(s, data, len, path, err);
    free(data);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

static uint8_t *encode(const struct moments *s, size_t *len) {
    size_t bytes = MOMENTS_HEADER + s->n * MOMENTS_ENTRY;
    size_t at = bytes;
    for (size_t i = 0; i < s->n; i++)
        bytes += 4 * (size_t)s->entries[i].cols;
    uint8_t *const data = calloc(1, bytes);
    *len = bytes;
    if (!data)
        return NULL;
    memcpy(data, MOMENTS_MAGIC, 8);
    put_u32(data + AT_VERSION, MOMENTS_VERSION);
    put_u64(data + AT_FILE_BYTES, bytes);
    put_u32(data + AT_N, (uint32_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct input_moments *const from = &s->entries[i];
        uint8_t *const entry = data + MOMENTS_HEADER + i * MOMENTS_ENTRY;
        memcpy(entry, from->name, strlen(from->name));
        put_u32(entry + ENTRY_COLS, from->cols);
        put_u64(entry + ENTRY_COUNT, from->count);
        for (uint32_t c = 0; c < from->cols; c++, at += 4)
            put_f32(data + at, from->squares[c]);
    }
    put_u32(data + AT_CRC, crc32c(0, data, bytes));
    return data;
}

enum bise_status moments_write(const struct moments *s, const char *path, struct bise_error *err) {
    size_t len;
    uint8_t *const data = encode(s, &len);
    if (!data)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", path, len);
    const enum bise_status status = new_file_whole(path, NEW_FILE_SHARED, data, len, err);
    free(data);
    return status;
}
