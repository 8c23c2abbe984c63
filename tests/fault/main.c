/* Runs every scenario under every kind of fault; "fault NAME" runs one. */
#include "tests/fault/fault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[FAULT_KINDS] = {
    [FAULT_MALLOC] = "malloc",
    [FAULT_MMAP] = "mmap",
    [FAULT_THREAD] = "thread",
    [FAULT_OPEN] = "open",
    [FAULT_READ] = "read",
    [FAULT_EOF] = "eof",
    [FAULT_WRITE] = "write",
    [FAULT_FSYNC] = "fsync",
    [FAULT_RENAME] = "rename",
    [FAULT_READ_SHORT] = "read_short",
    [FAULT_READ_INTR] = "read_intr",
    [FAULT_WRITE_SHORT] = "write_short",
    [FAULT_WRITE_INTR] = "write_intr",
};

#define MAX_CALLS 100000 /* more calls of a kind than any scenario makes */

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
    for (int i = 0; i < 1000 && count_entries("/proc/self/task") != threads; i++)
        usleep(1000);
    return (struct resources){count_entries("/proc/self/fd"), count_entries("/proc/self/task"),
                              count_entries(dir), fault_mapped_bytes()};
}

/* What went wrong after a run with a fault injected, NULL if all is well. */
static const char *judge(const struct scenario *s, enum fault_kind kind, const char *dir,
                         enum bise_status status, const struct bise_error *err,
                         const struct resources *before) {
    const struct resources after = take_stock(dir, before->threads);
    if (status == BISE_STATUS_COUNT)
        return "a wrong result";
    if (kind >= FAULT_READ_SHORT && status != BISE_OK)
        return "refused what it should live with";
    if (status != BISE_OK && (err->status != status || err->detail[0] == 0))
        return "an error without its detail";
    if (kind == FAULT_MALLOC && status != BISE_OK && status != BISE_ERR_MEMORY)
        return "lack of memory called something else";
    if (kind == FAULT_WRITE && status != BISE_OK && status != BISE_ERR_DISK)
        return "a full disk called something else";
    if (status != BISE_OK && s->left_behind && s->left_behind(dir))
        return "a file that looks finished";
    if (after.descriptors != before->descriptors)
        return "an open file left";
    if (after.threads != before->threads)
        return "a thread left";
    if (after.mapped != before->mapped)
        return "a mapping left";
    if (status != BISE_OK && after.files != before->files)
        return "a file left";
    return NULL;
}

/* All N for one kind; *n_faults gains those injected. Returns false and says why at the first
 * failure. A kind of call that the scenario does not make is not mentioned. */
static bool run_kind(const struct scenario *s, enum fault_kind kind, const char *dir,
                     unsigned *n_faults) {
    unsigned refused = 0, tolerated = 0;
    for (unsigned n = 1; n < MAX_CALLS; n++) {
        struct bise_error err = {0};
        const struct resources before = take_stock(dir, 1);
        fault_arm(kind, n);
        const enum bise_status status = s->run(dir, &err);
        const bool fired = fault_disarm();
        const char *why = judge(s, kind, dir, status, &err, &before);
        if (!fired && status != BISE_OK)
            why = "failed without a fault";
        if (why) {
            printf("not ok %s_%s: %s, call %u: %s (%s)\n", s->name, kind_names[kind], why, n,
                   bise_strerror(status), err.detail);
            return false;
        }
        if (!fired) {
            if (n > 1)
                printf("ok %s_%s: %u refused, %u lived with\n", s->name, kind_names[kind], refused,
                       tolerated);
            *n_faults += n - 1;
            return true;
        }
        *(status == BISE_OK ? &tolerated : &refused) += 1;
    }
    printf("not ok %s_%s: no end\n", s->name, kind_names[kind]);
    return false;
}

static bool run_scenario(const struct scenario *s) {
    char dir[] = "/tmp/bise-fault.XXXXXX";
    if (!mkdtemp(dir)) {
        printf("not ok %s: no folder for it\n", s->name);
        return false;
    }
    bool good = !s->setup || s->setup(dir);
    if (!good)
        printf("not ok %s: setup\n", s->name);
    unsigned n_faults = 0;
    for (int kind = 0; good && kind < FAULT_KINDS; kind++)
        good = run_kind(s, (enum fault_kind)kind, dir, &n_faults);
    if (good && n_faults == 0) {
        printf("not ok %s: no call to fail\n", s->name);
        good = false;
    }
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
    return access(path, F_OK) == 0;
}

int main(int argc, char **argv) {
    static const struct scenario *const all[] = {
        feedback_scenarios, pool_scenarios,    tokenizer_scenarios,    text_scenarios,
        writer_scenarios,   session_scenarios, session_file_scenarios, journal_scenarios,
        quantize_scenarios, kl_base_scenarios, source_scenarios,       moments_scenarios};
    int n_bad = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (const struct scenario *s = all[i]; s->name; s++)
            if (argc < 2 || strcmp(argv[1], s->name) == 0)
                n_bad += !run_scenario(s);
    return n_bad != 0;
}
