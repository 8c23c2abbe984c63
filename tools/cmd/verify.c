/* bise verify: reads a whole file, checks every checksum in it, and whether scales and codes are
 * what docs/format.md says they are: a checksum does not vouch for who made the file. */
#include "tools/common/model_path.h"

#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/model/format.h"
#include "src/os/cpu.h"
#include "src/os/file.h"
#include "src/os/jobs.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES  ((size_t)4 << 20) /* read and summed by one thread */
#define BATCH_PIECES 64                /* between two looks at the terminal */

/* Part of a tensor. */
struct piece {
    const struct tensor *tensor;
    uint64_t at; /* in the tensor */
    size_t len;
    uint32_t crc; /* as found */
    bool unsound; /* it holds a value that the format rules out */
};

struct check {
    const char *path;
    const struct bise_model *model;
    int fd;
    struct piece *pieces; /* of all tensors, in the file's order */
    size_t n_pieces;
    size_t first;     /* piece that task 0 of the batch is */
    struct jobs jobs; /* buffers: PIECE_BYTES */
    struct progress progress;
};

static bool halves_sound(const uint8_t *bytes, size_t len) {
    bool sound = true;
    for (size_t i = 0; i + 1 < len; i += 2)
        sound = sound && ((bytes[i] | bytes[i + 1] << 8) & 0x7f80) != 0x7f80;
    return sound;
}

/* Row scales and codes of bytes [at, at + len) of a tensor in panels. */
static bool panels_sound(const struct tensor *t, uint64_t at, const uint8_t *bytes, size_t len) {
    const size_t panel = panel_bytes(t->type, round_up(t->cols, TILE_K));
    const size_t tile = t->type == TYPE_I8 ? I8_TILE_BYTES : I4_TILE_BYTES;
    bool sound = true;
    for (size_t done = 0, span; done < len && sound; done += span) {
        const size_t in = (size_t)((at + done) % panel);
        const size_t in_tile = in < PANEL_HEAD ? 0 : (in - PANEL_HEAD) % tile;
        span = in < PANEL_HEAD         ? PANEL_HEAD - in
               : in_tile < TILE_SCALES ? TILE_SCALES - in_tile
                                       : tile - in_tile;
        span = span < len - done ? span : len - done;
        if (in < PANEL_HEAD)
            sound = all_finite((const float *)(const void *)(bytes + done), span / sizeof(float));
        else if (in_tile >= TILE_SCALES && t->type == TYPE_I8)
            sound = memchr(bytes + done, 0x80, span) == NULL;
    }
    return sound;
}

static bool values_sound(const struct tensor *t, uint64_t at, const uint8_t *bytes, size_t len) {
    if (t->is_vector || t->type == TYPE_F32)
        return all_finite((const float *)(const void *)bytes, len / sizeof(float));
    return t->type == TYPE_BF16 ? halves_sound(bytes, len) : panels_sound(t, at, bytes, len);
}

static enum bise_status sum_piece(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *err) {
    const struct check *c = arg;
    struct piece *p = &c->pieces[c->first + task];
    (void)thread;
    const enum bise_status s =
        file_read_at(c->fd, c->path, p->tensor->offset + p->at, buffer, p->len, err);
    if (s)
        return s;
    p->crc = crc32c(0, buffer, p->len);
    p->unsound = !values_sound(p->tensor, p->at, buffer, p->len);
    return BISE_OK;
}

static size_t pieces_of(const struct tensor *t) {
    return (size_t)((t->length + PIECE_BYTES - 1) / PIECE_BYTES);
}

static enum bise_status cut(struct check *c, struct bise_error *err) {
    for (size_t i = 0; i < c->model->n_tensors; i++)
        c->n_pieces += pieces_of(&c->model->tensors[i]);
    c->pieces = calloc(c->n_pieces, sizeof *c->pieces);
    if (!c->pieces)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the list of its parts", c->path);
    struct piece *p = c->pieces;
    for (size_t i = 0; i < c->model->n_tensors; i++) {
        const struct tensor *t = &c->model->tensors[i];
        for (uint64_t at = 0; at < t->length; at += PIECE_BYTES, p++) {
            p->tensor = t;
            p->at = at;
            p->len = t->length - at < PIECE_BYTES ? (size_t)(t->length - at) : PIECE_BYTES;
        }
    }
    return BISE_OK;
}

static enum bise_status sum_all(struct check *c, struct bise_error *err) {
    const uint64_t total = bise_model_info(c->model)->file_bytes;
    for (c->first = 0; c->first < c->n_pieces; c->first += BATCH_PIECES) {
        const size_t left = c->n_pieces - c->first;
        const enum bise_status s =
            jobs_run(&c->jobs, sum_piece, c, left < BATCH_PIECES ? left : BATCH_PIECES, err);
        if (s)
            return s;
        const struct piece *const p = &c->pieces[c->first];
        progress_show(&c->progress, p->tensor->offset + p->at, total);
        if (interrupted())
            return bise_fail(err, BISE_ERR_INTERRUPTED, "%s: interrupted, not verified", c->path);
    }
    return BISE_OK;
}

/* The bytes between two tensors must be zero. */
static enum bise_status check_gap(const struct check *c, uint64_t from, uint64_t to, size_t *n_bad,
                                  struct bise_error *err) {
    uint8_t gap[FORMAT_ALIGN];
    const enum bise_status s = file_read_at(c->fd, c->path, from, gap, (size_t)(to - from), err);
    if (s != BISE_OK)
        return s;
    for (uint64_t i = 0; i < to - from; i++)
        if (gap[i] != 0) {
            print("damaged: padding at offset %" PRIu64 ": expected 0, found %u\n", from + i,
                  gap[i]);
            ++*n_bad;
        }
    return BISE_OK;
}

/* Says what is damaged; *n_bad is how much of it there is. */
static enum bise_status compare(const struct check *c, size_t *n_bad, struct bise_error *err) {
    const struct piece *p = c->pieces;
    *n_bad = 0;
    for (size_t i = 0; i < c->model->n_tensors; i++) {
        const struct tensor *t = &c->model->tensors[i];
        uint32_t crc = 0;
        bool unsound = false;
        for (size_t n = pieces_of(t); n > 0; n--, p++) {
            crc = crc32c_combine(crc, p->crc, p->len);
            unsound = unsound || p->unsound;
        }
        if (crc != t->crc) {
            print("damaged: %s, %" PRIu64 " bytes at offset %" PRIu64
                  ": expected CRC %08x, found %08x\n",
                  t->name, t->length, t->offset, t->crc, crc);
            ++*n_bad;
        }
        if (unsound) {
            print("damaged: %s, %s\n", t->name,
                  t->type == TYPE_I8   ? "a row scale that is no number, or a code of -128"
                  : t->type == TYPE_I4 ? "a row scale that is no number"
                                       : "a value that is no number");
            ++*n_bad;
        }
        if (i + 1 < c->model->n_tensors) {
            const enum bise_status s = check_gap(c, t->offset + t->length, t[1].offset, n_bad, err);
            if (s != BISE_OK)
                return s;
        }
    }
    return BISE_OK;
}

static enum bise_status verify(struct check *c, int n_threads, size_t *n_bad,
                               struct bise_error *err) {
    uint64_t size;
    enum bise_status s = file_open(c->path, &c->fd, &size, err);
    if (s != BISE_OK)
        return s;
    file_read_ahead(c->fd);
    s = jobs_open(&c->jobs, NULL, n_threads, PIECE_BYTES, err);
    if (s == BISE_OK)
        s = cut(c, err);
    progress_begin(&c->progress, "verifying");
    if (s == BISE_OK)
        s = sum_all(c, err);
    progress_end(&c->progress);
    if (s == BISE_OK)
        s = compare(c, n_bad, err);
    jobs_close(&c->jobs);
    free(c->pieces);
    file_close(&c->fd);
    return s;
}

int cmd_verify(int argc, char **argv) {
    const char *path = NULL, *given = NULL;
    int64_t threads = 0;
    size_t n_bad = 0;
    int code;
    struct bise_error err = {0};
    struct bise_model *model = NULL;
    const struct bise_model_params params = {.no_tensors = true};
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING(&given), "FILE", "the .bise file, which may stand alone"},
        {"-t|--threads", OPT_INT(&threads, 1, 1024), "N", "threads (default: all that are fast)"},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise verify MODEL [options]", &path, 1, &code))
        return code;
    if (!given && !path)
        return refuse(EXIT_USAGE, "expected one MODEL (see bise verify --help)");
    if ((path = model_given(given, path, &code)) == NULL)
        return code;
    interrupt_catch();
    enum bise_status s = bise_model_open(&model, path, &params, &err);
    struct check c = {.path = path, .model = model};
    if (s == BISE_OK)
        s = verify(&c, threads > 0 ? (int)threads : cpu_default_threads(), &n_bad, &err);
    if (s != BISE_OK) {
        code = report(s, &err);
    } else {
        const double seconds = seconds_now() - c.progress.started;
        const uint64_t bytes = bise_model_info(model)->file_bytes;
        print("%s: %zu tensors, %" PRIu64 " bytes, %.0f MB/s: ", path, model->n_tensors, bytes,
              (double)bytes / seconds / 1e6);
        if (n_bad)
            print("%zu damaged\n", n_bad);
        else
            print("sound\n");
        code = n_bad ? EXIT_INPUT : EXIT_DONE;
    }
    bise_model_close(&model);
    return code;
}
