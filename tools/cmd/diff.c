/*
 * bise diff: how far the weights of one model are from another's, tensor by tensor. Either may be
 * anything bise quantize reads: a .bise file, a checkpoint, a GGUF file.
 * The first is the reference.
 */
#include "tools/common/tools.h"

#include "quant/source/source.h"
#include "src/base/error.h"
#include "src/os/cpu.h"
#include "src/os/jobs.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_FLOATS ((size_t)256 << 10) /* about what a task reads of each */

struct diff_sums {
    double error, norm, largest; /* squares of b - a and of a; the largest |b - a| */
};

/* A tensor and what it is called on either side. */
struct pair {
    size_t a, b; /* index on each side */
    bool comparable;
    struct diff_sums sums;
};

struct diff {
    const char *path[2];
    struct source *source[2];
    const struct source_tensor *tensors[2];
    size_t n[2];
    struct pair *pairs; /* [n_pairs] in the order of a */
    size_t n_pairs, n_faults;
    int n_threads;
    bool json;
};

/* What the tasks of one tensor share. */
struct job {
    const struct diff *diff;
    const struct pair *pair;
    size_t rows_per_task, n_tasks;
    struct jobs jobs; /* buffers: [2][buffer_floats] */
    size_t buffer_floats;
    struct diff_sums *sums; /* [n_tasks] */
};

static const struct source_tensor *tensor_of(const struct diff *d, const struct pair *p, int side) {
    return &d->tensors[side][side ? p->b : p->a];
}

/* ---- weights -------------------------------------------------------------------------------- */

static size_t rows_per_task(const struct source_tensor *t) {
    const size_t rows = PIECE_FLOATS / t->cols;
    return rows > 0 ? rows : 1;
}

static struct diff_sums compare(const float *a, const float *b, size_t n) {
    struct diff_sums s = {0};
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], d = fabs((double)b[i] - x);
        s.error += d * d;
        s.norm += x * x;
        s.largest = d > s.largest ? d : s.largest;
    }
    return s;
}

static enum bise_status diff_task(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *err) {
    struct job *job = arg;
    const struct diff *d = job->diff;
    const struct source_tensor *t = tensor_of(d, job->pair, 0);
    float *const rows[2] = {buffer, (float *)buffer + job->buffer_floats};
    const size_t row = task * job->rows_per_task, left = t->rows - row;
    const uint32_t n = (uint32_t)(left < job->rows_per_task ? left : job->rows_per_task);
    enum bise_status s =
        interrupted() ? bise_fail(err, BISE_ERR_INTERRUPTED, "interrupted") : BISE_OK;
    (void)thread;
    for (int side = 0; side < 2 && !s; side++)
        s = source_read_rows(d->source[side], side ? job->pair->b : job->pair->a, (uint32_t)row, n,
                             rows[side], err);
    if (!s)
        job->sums[task] = compare(rows[0], rows[1], (size_t)n * t->cols);
    return s;
}

static enum bise_status open_job(struct job *job, struct bise_error *err) {
    const struct diff *d = job->diff;
    size_t n_tasks = 1;
    job->buffer_floats = 1;
    for (size_t i = 0; i < d->n_pairs; i++) {
        const struct source_tensor *t = tensor_of(d, &d->pairs[i], 0);
        const size_t rows = rows_per_task(t), tasks = (t->rows + rows - 1) / rows;
        const size_t floats = (rows < t->rows ? rows : t->rows) * t->cols;
        job->buffer_floats = floats > job->buffer_floats ? floats : job->buffer_floats;
        n_tasks = tasks > n_tasks ? tasks : n_tasks;
    }
    job->sums = calloc(n_tasks, sizeof *job->sums);
    return job->sums ? jobs_open(&job->jobs, NULL, d->n_threads,
                                 2 * job->buffer_floats * sizeof(float), err)
                     : bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu sums", n_tasks);
}

/* Sums in the order of the tasks, whichever thread did them. */
static enum bise_status compare_pair(struct job *job, struct pair *p, struct bise_error *err) {
    const struct source_tensor *t = tensor_of(job->diff, p, 0);
    job->pair = p;
    job->rows_per_task = rows_per_task(t);
    job->n_tasks = (t->rows + job->rows_per_task - 1) / job->rows_per_task;
    const enum bise_status s = jobs_run(&job->jobs, diff_task, job, job->n_tasks, err);
    for (size_t i = 0; i < job->n_tasks && !s; i++) {
        p->sums.error += job->sums[i].error;
        p->sums.norm += job->sums[i].norm;
        p->sums.largest = fmax(p->sums.largest, job->sums[i].largest);
    }
    return s;
}

static enum bise_status compare_all(struct diff *d, struct bise_error *err) {
    struct job job = {.diff = d};
    struct progress progress;
    progress_begin(&progress, "comparing");
    progress.no_rate = true;
    enum bise_status s = open_job(&job, err);
    for (size_t i = 0; i < d->n_pairs && !s; i++) {
        if (d->pairs[i].comparable)
            s = compare_pair(&job, &d->pairs[i], err);
        progress_show(&progress, i + 1, d->n_pairs);
    }
    progress_end(&progress);
    jobs_close(&job.jobs);
    free(job.sums);
    return s;
}

/* ---- what cannot be compared ---------------------------------------------------------------- */

static size_t find(const struct diff *d, int side, const char *name) {
    size_t i = 0;
    while (i < d->n[side] && strcmp(d->tensors[side][i].name, name) != 0)
        i++;
    return i;
}

static void fault(struct diff *d, const char *name, const char *what) {
    complain("%s: %s", name, what);
    d->n_faults++;
}

static void check_pair(struct diff *d, struct pair *p) {
    const struct source_tensor *a = tensor_of(d, p, 0), *b = tensor_of(d, p, 1);
    char what[128];
    p->comparable = a->rows == b->rows && a->cols == b->cols && a->is_vector == b->is_vector;
    snprintf(what, sizeof what, "shape [%u][%u] and [%u][%u]", a->rows, a->cols, b->rows, b->cols);
    if (!p->comparable)
        fault(d, a->name, what);
}

/* Tensors nearly always come in the same order: looks there first. */
static enum bise_status make_pairs(struct diff *d, struct bise_error *err) {
    bool *taken = calloc(d->n[1] ? d->n[1] : 1, sizeof *taken);
    d->pairs = calloc(d->n[0] ? d->n[0] : 1, sizeof *d->pairs);
    if (!d->pairs || !taken) {
        free(taken);
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", d->n[0]);
    }
    for (size_t i = 0; i < d->n[0]; i++) {
        const char *name = d->tensors[0][i].name;
        const bool same_place = i < d->n[1] && strcmp(d->tensors[1][i].name, name) == 0;
        const size_t j = same_place ? i : find(d, 1, name);
        if (j == d->n[1]) {
            fault(d, name, "only in the first");
            continue;
        }
        taken[j] = true;
        d->pairs[d->n_pairs] = (struct pair){.a = i, .b = j};
        check_pair(d, &d->pairs[d->n_pairs++]);
    }
    for (size_t j = 0; j < d->n[1]; j++)
        if (!taken[j])
            fault(d, d->tensors[1][j].name, "only in the second");
    free(taken);
    return BISE_OK;
}

static void compare_number(struct diff *d, const char *name, double a, double b) {
    char what[80];
    snprintf(what, sizeof what, "%.9g and %.9g", a, b);
    if (a != b)
        fault(d, name, what);
}

/* The numbers that change what the same weights compute; shapes show in the tensors. */
static void compare_configs(struct diff *d) {
    const struct model_config *a = source_config(d->source[0]), *b = source_config(d->source[1]);
    compare_number(d, "heads", a->n_heads, b->n_heads);
    compare_number(d, "head dimension", a->head_dim, b->head_dim);
    compare_number(d, "experts used", a->n_experts_used, b->n_experts_used);
    compare_number(d, "window", a->window, b->window);
    compare_number(d, "RoPE theta", a->rope_theta, b->rope_theta);
    compare_number(d, "RMSNorm epsilon", (double)a->norm_eps, (double)b->norm_eps);
}

/* ---- results -------------------------------------------------------------------------------- */

/* Error relative to the reference; of a reference of zeros, 0 or infinity. */
static double relative(const struct diff_sums *s) {
    if (s->error == 0)
        return 0;
    return s->norm > 0 ? sqrt(s->error / s->norm) : INFINITY;
}

static double bits_of(uint64_t bytes, uint64_t n) {
    return n ? 8.0 * (double)bytes / (double)n : 0;
}

static uint64_t weights_of(const struct source_tensor *t) {
    return (uint64_t)t->rows * t->cols;
}

static void print_number(const char *name, double x) {
    if (isfinite(x))
        print("\"%s\":%.9g", name, x);
    else
        print("\"%s\":null", name);
}

static void print_pair(const struct diff *d, const struct pair *p, bool first) {
    const struct source_tensor *a = tensor_of(d, p, 0), *b = tensor_of(d, p, 1);
    const double error = relative(&p->sums);
    const double bits[2] = {bits_of(a->bytes, weights_of(a)), bits_of(b->bytes, weights_of(b))};
    if (!d->json) {
        print("%-44s %6.2f %6.2f  %12.4e %12.4e\n", a->name, bits[0], bits[1], error,
              p->sums.largest);
        return;
    }
    print("%s\n{\"name\":\"%s\",\"bits\":[%.6g,%.6g],", first ? "" : ",", a->name, bits[0],
          bits[1]);
    print_number("error", error);
    print(",\"largest\":%.9g}", p->sums.largest);
}

/* Sums over all that was compared. */
struct whole {
    uint64_t weights, bytes[2];
    size_t n, n_same;
    struct diff_sums sums;
};

static void add_pair(struct whole *w, const struct diff *d, const struct pair *p) {
    const struct source_tensor *a = tensor_of(d, p, 0), *b = tensor_of(d, p, 1);
    w->weights += weights_of(a);
    w->bytes[0] += a->bytes;
    w->bytes[1] += b->bytes;
    w->n++;
    w->n_same += p->sums.error == 0;
    w->sums.error += p->sums.error;
    w->sums.norm += p->sums.norm;
    w->sums.largest = fmax(w->sums.largest, p->sums.largest);
}

static void print_whole(const struct diff *d, const struct whole *w) {
    const double bits[2] = {bits_of(w->bytes[0], w->weights), bits_of(w->bytes[1], w->weights)};
    if (d->json) {
        print("],\n\"compared\":%zu,\"same\":%zu,\"bits\":[%.6g,%.6g],", w->n, w->n_same, bits[0],
              bits[1]);
        print_number("error", relative(&w->sums));
        print(",\"largest\":%.9g,\"faults\":%zu}\n", w->sums.largest, d->n_faults);
        return;
    }
    print("%-44s %6.2f %6.2f  %12.4e %12.4e\n", "all", bits[0], bits[1], relative(&w->sums),
          w->sums.largest);
    print("\n%zu tensors compared, %zu of them the same\n", w->n, w->n_same);
}

static void print_all(const struct diff *d) {
    struct whole w = {0};
    if (d->json)
        print("{\"tensors\":[");
    else
        print("%-44s %6s %6s  %12s %12s\n", "tensor", "bits", "bits", "error", "largest");
    for (size_t i = 0; i < d->n_pairs; i++) {
        if (!d->pairs[i].comparable)
            continue;
        print_pair(d, &d->pairs[i], w.n == 0);
        add_pair(&w, d, &d->pairs[i]);
    }
    print_whole(d, &w);
}

static enum bise_status run(struct diff *d, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (int side = 0; side < 2 && !s; side++) {
        char home[PATH_MAX], note[2048]; /* what matters for quantizing, not here */
        s = source_open(&d->source[side], model_or_source(home, d->path[side]), note, sizeof note,
                        err);
        if (!s)
            d->tensors[side] = source_tensors(d->source[side], &d->n[side]);
    }
    if (s)
        return s;
    compare_configs(d);
    s = make_pairs(d, err);
    if (!s)
        s = compare_all(d, err);
    if (!s)
        print_all(d);
    return s;
}

int cmd_diff(int argc, char **argv) {
    struct diff d = {.n_faults = 0};
    struct bise_error err = {0};
    int64_t threads = 0;
    int code;
    const struct option_def defs[] = {
        {"--json", OPT_FLAG(&d.json), "print one JSON object"},
        {"-t|--threads", OPT_INT(&threads, 1, 1024), "N", "threads (default: all that are fast)"},
    };
    if (!options_parse(argc, argv, defs, 2,
                       "bise diff A B [options]\n\n"
                       "A, B: .bise files or names of them, checkpoints or GGUF files; errors are "
                       "relative to A",
                       d.path, 2, &code))
        return code;
    if (!d.path[1])
        return refuse(EXIT_USAGE, "expected two models (see bise diff --help)");
    interrupt_catch();
    d.n_threads = threads ? (int)threads : cpu_default_threads();
    const enum bise_status s = run(&d, &err);
    code = s ? report(s, &err) : d.n_faults ? EXIT_FAILED : EXIT_DONE;
    source_close(&d.source[0]);
    source_close(&d.source[1]);
    free(d.pairs);
    return code;
}
