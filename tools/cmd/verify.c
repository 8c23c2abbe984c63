/* bise verify: reads a whole file and checks every checksum in it. */
#include "tools/common/model_path.h"

#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/model/format.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "src/os/pool.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES  ((size_t)4 << 20) /* read and summed by one thread */
#define BATCH_PIECES 64                /* between two looks at the terminal */

/* Part of a tensor. */
struct piece {
    uint64_t at; /* in the file */
    size_t len;
    uint32_t crc; /* as found */
};

struct check {
    const char *path;
    const struct bise_model *model;
    int fd;
    int code;             /* errno of a failed read, -1: end of file */
    struct piece *pieces; /* of all tensors, in the file's order */
    size_t n_pieces;
    size_t first;     /* piece that task 0 of the batch is */
    uint8_t *buffers; /* [n_threads][PIECE_BYTES] */
    struct progress progress;
};

/* Reads [at, at + len) of the file; 0, errno, or -1 at its end. */
static int read_all(int fd, uint8_t *out, size_t len, uint64_t at) {
    while (len > 0) {
        const ssize_t n = pread(fd, out, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : -1;
        out += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static void sum_piece(void *arg, size_t task, int thread) {
    struct check *c = arg;
    struct piece *p = &c->pieces[c->first + task];
    uint8_t *buffer = c->buffers + (size_t)thread * PIECE_BYTES;
    const int code = read_all(c->fd, buffer, p->len, p->at);
    if (code != 0)
        __atomic_store_n(&c->code, code, __ATOMIC_RELAXED);
    else
        p->crc = crc32c(0, buffer, p->len);
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
            p->at = t->offset + at;
            p->len = t->length - at < PIECE_BYTES ? (size_t)(t->length - at) : PIECE_BYTES;
        }
    }
    return BISE_OK;
}

static enum bise_status fail_read(const struct check *c, int code, struct bise_error *err) {
    if (code == -1)
        return bise_fail(err, BISE_ERR_FORMAT, "%s became shorter while it was read", c->path);
    return bise_fail(err, BISE_ERR_IO, "%s: reading: %s", c->path, strerror(code));
}

static enum bise_status sum_all(struct check *c, struct pool *pool, struct bise_error *err) {
    const uint64_t total = bise_model_info(c->model)->file_bytes;
    for (c->first = 0; c->first < c->n_pieces; c->first += BATCH_PIECES) {
        const size_t left = c->n_pieces - c->first;
        pool_run(pool, sum_piece, c, left < BATCH_PIECES ? left : BATCH_PIECES);
        if (c->code != 0)
            return fail_read(c, c->code, err);
        progress_show(&c->progress, c->pieces[c->first].at, total);
        if (interrupted())
            return bise_fail(err, BISE_ERR_INTERRUPTED, "%s: interrupted, not verified", c->path);
    }
    return BISE_OK;
}

/* The bytes between two tensors must be zero. */
static enum bise_status check_gap(const struct check *c, uint64_t from, uint64_t to, size_t *n_bad,
                                  struct bise_error *err) {
    uint8_t gap[FORMAT_ALIGN];
    const int code = read_all(c->fd, gap, (size_t)(to - from), from);
    if (code != 0)
        return fail_read(c, code, err);
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
        for (size_t n = pieces_of(t); n > 0; n--, p++)
            crc = crc32c_combine(crc, p->crc, p->len);
        if (crc != t->crc) {
            print("damaged: %s, %" PRIu64 " bytes at offset %" PRIu64
                  ": expected CRC %08x, found %08x\n",
                  t->name, t->length, t->offset, t->crc, crc);
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
    struct pool *pool = NULL;
    const size_t buffer_bytes = (size_t)n_threads * PIECE_BYTES;
    enum bise_status s = BISE_OK;
    c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0)
        return bise_fail(err, BISE_ERR_IO, "%s: %s", c->path, strerror(errno));
    (void)posix_fadvise(c->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    c->buffers = mem_alloc(buffer_bytes);
    if (!c->buffers)
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu bytes", buffer_bytes);
    if (s == BISE_OK)
        s = cut(c, err);
    if (s == BISE_OK)
        s = pool_open(&pool, n_threads, err);
    progress_begin(&c->progress, "verifying");
    if (s == BISE_OK)
        s = sum_all(c, pool, err);
    progress_end(&c->progress);
    if (s == BISE_OK)
        s = compare(c, n_bad, err);
    pool_close(&pool);
    mem_free(c->buffers, buffer_bytes);
    free(c->pieces);
    close(c->fd);
    return s;
}

int cmd_verify(int argc, char **argv) {
    const char *path = NULL, *given = NULL;
    int64_t threads = 0;
    size_t n_positional, n_bad = 0;
    int code;
    struct bise_error err = {0};
    struct bise_model *model = NULL;
    const struct bise_model_params params = {.no_tensors = true};
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING, &given, "FILE", "the .bise file, which may stand alone", 0, 0},
        {"-t|--threads", OPT_INT, &threads, "N", "threads (default: all that are fast)", 1, 1024},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], "bise verify FILE [options]",
                       &path, 1, &n_positional, &code))
        return code;
    if (!given && !path)
        return refuse(EXIT_USAGE, "expected one FILE (see bise verify --help)");
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
