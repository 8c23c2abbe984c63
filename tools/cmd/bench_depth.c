/* What stands in a cache before a row's prompt. Ids alone decide what a cache holds, whatever
 * instruction set read them: the fastest one reads them once, into a file without a name, and every
 * visit of every row takes them from there. */
#include "src/base/error.h"
#include "tools/cmd/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file that seq_save writes is opened, and its name and folder removed. */
static enum bise_status save(const struct bise_engine *e, int *fd, struct bise_error *err) {
    const char *const temporary = getenv("TMPDIR");
    char folder[4000], path[4096];
    snprintf(folder, sizeof folder, "%s/bise-bench.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return bise_fail(err, BISE_ERR_IO, "%s: %s", folder, strerror(errno));
    snprintf(path, sizeof path, "%s/depth", folder);
    enum bise_status s = bise_seq_save(e, 0, 0, NULL, 0, path, err);
    if (s == BISE_OK && (*fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        s = bise_fail(err, BISE_ERR_IO, "%s: %s", path, strerror(errno));
    (void)unlink(path);
    (void)rmdir(folder);
    return s;
}

static enum bise_status find(struct bench_run *r, const struct bench_row *row, int *fd,
                             struct bise_error *err) {
    for (size_t i = 0; i < r->n_depths; i++)
        if (r->depths[i].model == row->model && r->depths[i].depth == row->depth) {
            *fd = r->depths[i].fd;
            return BISE_OK;
        }
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)row->depth + 1, .kv = r->kv, .window = -1, .n_seqs = 1};
    struct bise_engine *e = NULL;
    enum bise_status s = bise_engine_open(&e, r->models[row->model].model, &params, err);
    if (s == BISE_OK)
        s = bench_read(e, r->models[row->model].ids, row->depth, BISE_WANT_NONE, err);
    if (s == BISE_OK)
        s = save(e, fd, err);
    if (s == BISE_OK)
        r->depths[r->n_depths++] = (struct bench_depth){row->model, row->depth, *fd};
    bise_engine_close(&e);
    return s;
}

enum bise_status bench_go_to_depth(struct bench_run *r, const struct bench_row *row,
                                   struct bise_engine *e, struct bise_error *err) {
    char path[64];
    int fd;
    if (row->depth == 0)
        return BISE_OK;
    const enum bise_status s = find(r, row, &fd, err);
    if (s != BISE_OK)
        return s;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return bise_seq_load(e, 0, NULL, path, err);
}

void bench_close_depths(struct bench_run *r) {
    for (size_t i = 0; i < r->n_depths; i++)
        close(r->depths[i].fd);
    r->n_depths = 0;
}
