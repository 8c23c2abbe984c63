/* Runs every scenario under every fault: "fault [--all] [NAME...]". Without --all (or
 * TEST_SIZE=full) of many calls of a kind some are failed, spread over all of them. */
#include "tests/fault/fault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE 6 /* calls of a kind that are failed in a sample */

static const char *const call_names[FAULT_CALLS] = {
    [CALL_MALLOC] = "malloc",       [CALL_MMAP] = "mmap",       [CALL_THREAD] = "pthread_create",
    [CALL_OPEN] = "open",           [CALL_READ] = "read",       [CALL_WRITE] = "write",
    [CALL_FSYNC] = "fsync",         [CALL_RENAME] = "rename",   [CALL_FALLOCATE] = "fallocate",
    [CALL_FTRUNCATE] = "ftruncate", [CALL_CLOSE] = "close",     [CALL_FLOCK] = "flock",
    [CALL_FCHMOD] = "fchmod",       [CALL_MADVISE] = "madvise", [CALL_UNLINK] = "unlink",
    [CALL_LINK] = "link",           [CALL_POLL] = "poll",       [CALL_NANOSLEEP] = "nanosleep",
    [CALL_STAT] = "stat",           [CALL_READDIR] = "readdir", [CALL_READLINK] = "readlink",
    [CALL_SETUP] = "*_init",        [CALL_STACK] = "stacksize", [CALL_FUTEX] = "futex",
    [CALL_ADVICE] = "fadvise",      [CALL_ASKING] = "asking",
};

static bool all_calls;                       /* fail each of them */
static unsigned long n_once, n_for_ever;     /* faults injected */
static unsigned long n_by_call[FAULT_CALLS]; /* of both */

/* ---- what a run leaves -------------------------------------------------------------------- */

/* Entries of a folder: open descriptors in /proc/self/fd, threads in /proc/self/task. */
static int count_entries(const char *path) {
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

struct resources {
    int descriptors, threads, files;
    long mapped;
};

/* A thread that has been joined may still be listed for a moment: threads is what there were
 * before. */
static struct resources take_stock(const char *dir, int threads) {
    for (int i = 0; i < 10000 && count_entries("/proc/self/task") != threads; i++)
        usleep(100);
    return (struct resources){count_entries("/proc/self/fd"), count_entries("/proc/self/task"),
                              count_entries(dir), fault_mapped_bytes()};
}

/* Names of the files that setup made. */
struct names {
    char names[64][256];
    int n;
};

static bool is_kept(const struct names *kept, const char *name) {
    for (int i = 0; i < kept->n; i++)
        if (strcmp(kept->names[i], name) == 0)
            return true;
    return name[0] == '.';
}

/* Removes what runs have added; with add, takes note of what is there instead. */
static void sweep(const char *dir, struct names *kept, bool add) {
    DIR *const d = opendir(dir);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[4096 + 256];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (add && kept->n < 64)
            snprintf(kept->names[kept->n++], 256, "%s", e->d_name);
        else if (!is_kept(kept, e->d_name))
            unlink(path);
    }
    if (d)
        closedir(d);
}

/* What went wrong after a run with a fault injected, NULL if all is well. */
static const char *judge(const struct scenario *s, const struct fault *f, const char *dir,
                         enum bise_status status, const struct bise_error *err,
                         const struct resources *before) {
    const struct resources after = take_stock(dir, before->threads);
    if (status == BISE_STATUS_COUNT)
        return "a wrong result";
    if (f->live_with && status != BISE_OK)
        return "refused what it should live with";
    if (status != BISE_OK && (err->status != status || err->detail[0] == 0))
        return "an error without its detail";
    if (status != BISE_OK && f->must_give && status != f->must_give)
        return f->must_give == BISE_ERR_MEMORY ? "lack of memory called something else"
               : f->must_give == BISE_ERR_DISK ? "a full disk called something else"
                                               : "the system's refusal called something else";
    if (status != BISE_OK && s->left_behind && s->left_behind(dir))
        return "a file that looks finished";
    if (after.descriptors != before->descriptors)
        return "an open file left";
    if (after.threads != before->threads)
        return "a thread left";
    if (after.mapped != before->mapped)
        return "a mapping left";
    if (after.files != before->files && !f->may_leave)
        return "a file left";
    return NULL;
}

/* ---- runs --------------------------------------------------------------------------------- */

/* The scenario without a fault: what it calls, how often, and whether files keep their order. */
static bool run_plainly(const struct scenario *s, const char *dir, unsigned long counts[]) {
    struct bise_error err = {0};
    for (int call = 0; call < FAULT_CALLS; call++)
        counts[call] = fault_calls((enum fault_call)call);
    fault_order_begin();
    const enum bise_status status = s->run(dir, &err);
    const char *const broken = fault_order_broken();
    if (status != BISE_OK || broken) {
        printf("not ok %s: %s (%s)\n", s->name, broken ? broken : "failed without a fault",
               status == BISE_STATUS_COUNT ? "a wrong result" : err.detail);
        return false;
    }
    for (int call = 0; call < FAULT_CALLS; call++) {
        counts[call] = fault_calls((enum fault_call)call) - counts[call];
        if (counts[call] == 0 && s->meets >> call & 1) {
            printf("not ok %s: it makes no call of %s\n", s->name, call_names[call]);
            return false;
        }
    }
    return true;
}

/* One run with a fault; false, having said why, if something is wrong. *happened: it was injected.
 */
static bool run_once(const struct scenario *s, const struct fault *f, const char *dir, unsigned n,
                     bool for_ever, struct names *kept, bool *happened, bool *refused) {
    struct bise_error err = {0};
    const struct resources before = take_stock(dir, 1);
    fault_arm(f, n, for_ever);
    const enum bise_status status = s->run(dir, &err);
    *happened = fault_disarm() > 0;
    *refused = status != BISE_OK;
    const char *why = judge(s, f, dir, status, &err, &before);
    if (!*happened && status != BISE_OK)
        why = "failed without a fault";
    if (why)
        printf("not ok %s_%s: %s, call %u%s: %s (%s)\n", s->name, f->name, why, n,
               for_ever ? " and all after it" : "", bise_strerror(status), err.detail);
    if (f->may_leave)
        sweep(dir, kept, false);
    return why == NULL;
}

/* The ith of the calls to fail, out of n: all of them, or some from first to last. */
static unsigned pick(unsigned i, unsigned n) {
    return all_calls || n <= SAMPLE ? i + 1 : 1 + i * (n - 1) / (SAMPLE - 1);
}

/* All calls of one kind, of which a run without faults makes n, once and for ever. A kind of call
 * that the scenario does not make is not mentioned. */
static bool run_fault(const struct scenario *s, const struct fault *f, const char *dir, unsigned n,
                      struct names *kept) {
    unsigned refused = 0, tolerated = 0;
    const unsigned picked = all_calls || n <= SAMPLE ? n : SAMPLE;
    for (int for_ever = 0; for_ever < (f->once ? 1 : 2); for_ever++)
        for (unsigned i = 0; i < picked; i++) {
            bool happened, is_refused;
            if (!run_once(s, f, dir, pick(i, n), for_ever, kept, &happened, &is_refused))
                return false;
            if (!happened) /* threads make a call more or less */
                continue;
            *(is_refused ? &refused : &tolerated) += 1;
            *(for_ever ? &n_for_ever : &n_once) += 1;
            n_by_call[f->call]++;
        }
    if (n > 0)
        printf("ok %s_%s: %u refused, %u lived with, of %u calls\n", s->name, f->name, refused,
               tolerated, n);
    return true;
}

static bool run_scenario(const struct scenario *s) {
    unsigned long counts[FAULT_CALLS];
    struct names kept = {.n = 0};
    char dir[] = "/tmp/bise-fault.XXXXXX";
    if (!mkdtemp(dir)) {
        printf("not ok %s: no folder for it\n", s->name);
        return false;
    }
    bool good = !s->setup || s->setup(dir);
    if (!good)
        printf("not ok %s: setup\n", s->name);
    sweep(dir, &kept, true);
    good = good && run_plainly(s, dir, counts);
    for (size_t i = 0; good && i < n_faults; i++)
        good = run_fault(s, &faults[i], dir, (unsigned)counts[faults[i].call], &kept);
    if (s->teardown)
        s->teardown();
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 && good;
}

uint8_t *fault_read_file(const char *path, size_t *len) {
    uint8_t *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && (data = malloc((size_t)st.st_size + 1)) != NULL) {
        *len = fread(data, 1, (size_t)st.st_size, f);
        data[*len] = 0;
    }
    fclose(f);
    return data;
}

bool fault_file_exists(const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    fault_exempt(true);
    const bool exists = access(path, F_OK) == 0;
    fault_exempt(false);
    return exists;
}

static bool is_wanted(int argc, char **argv, const char *name) {
    bool any = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0)
            continue;
        any = true;
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return !any;
}

int main(int argc, char **argv) {
    static const struct scenario *const all[] = {
        feedback_scenarios, pool_scenarios,    tokenizer_scenarios,    text_scenarios,
        writer_scenarios,   session_scenarios, session_file_scenarios, journal_scenarios,
        quantize_scenarios, kl_base_scenarios, source_scenarios,       moments_scenarios,
        lock_scenarios,     edit_scenarios};
    const char *const size = getenv("TEST_SIZE");
    int n_bad = 0;
    all_calls = size && strcmp(size, "full") == 0;
    for (int i = 1; i < argc; i++)
        all_calls = all_calls || strcmp(argv[i], "--all") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (const struct scenario *s = all[i]; s->name; s++)
            if (is_wanted(argc, argv, s->name))
                n_bad += !run_scenario(s);
    printf("# faults: %lu once, %lu for ever after;", n_once, n_for_ever);
    for (int call = 0; call < FAULT_CALLS; call++)
        if (n_by_call[call])
            printf(" %s %lu", call_names[call], n_by_call[call]);
    putchar('\n');
    return n_bad != 0;
}
