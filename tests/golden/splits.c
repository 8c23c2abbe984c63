/*
 * However a text is split into calls, chunks and threads, by every instruction set: the same bits.
 * Every golden model in every type, as it is and with another window, or with sinks where it has
 * none; splits are drawn at random. usage: splits [ROUNDS] (1; each draws other splits)
 */
#include "tests/golden/models.h"

#include <dirent.h>

static uint64_t state = 1;

static size_t draw(size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % below;
}

/* Logits of all ids, in calls of 1 to most tokens. */
static void run(const struct bise_model *m, const struct bise_engine_params *p, const int32_t *ids,
                size_t n, size_t most, float *logits) {
    const size_t vocab = bise_model_info(m)->vocab_size;
    struct bise_session *s;
    struct bise_error err;
    must(bise_session_open(&s, m, p, &err), "session", &err);
    for (size_t at = 0, len; at < n; at += len) {
        len = 1 + draw(most < n - at ? most : n - at);
        must(bise_prefill_logits(s, ids + at, len, logits + at * vocab, &err), "prefill", &err);
    }
    bise_session_close(&s);
}

/* p: all but what may not matter. */
static void check(const struct bise_model *m, struct bise_engine_params p, const int32_t *ids,
                  size_t n, const char *what) {
    const size_t bytes = n * bise_model_info(m)->vocab_size * sizeof(float);
    float *const want = malloc(bytes), *const found = malloc(bytes);
    const char *isas[ISA_COUNT];
    const size_t n_isas = isa_names(isas);
    bool same = true;
    if (!want || !found)
        die("memory", what);
    p.isa = isas[n_isas - 1];
    p.chunk = (uint32_t)n;
    run(m, &p, ids, n, 1, want);
    for (size_t i = n_isas > 1; i < n_isas; i++) { /* golden compares the scalar table */
        for (int t = 1; t <= 4; t++) {
            static const size_t mosts[] = {MAX_IDS, 24, 5};
            const size_t most = mosts[draw(3)];
            p.isa = isas[i];
            p.n_threads = t;
            p.chunk = (uint32_t)((most < n ? most : n) + draw(20));
            run(m, &p, ids, n, most, found);
            if (memcmp(want, found, bytes) != 0) {
                printf("# bits differ with %s, %d threads, calls of at most %zu, chunk %u\n", p.isa,
                       t, most, p.chunk);
                same = false;
            }
        }
    }
    result(same, what, "the same bits by any split");
    free(want);
    free(found);
}

static void check_file(const char *name, const char *type, const char *file, const int32_t *ids,
                       size_t n) {
    struct bise_engine_params p = {.n_ctx = 512, .window = -1};
    struct bise_model *m;
    struct bise_error err;
    char what[160];
    must(bise_model_open(&m, file, NULL, &err), "open", &err);
    const bool has_window = bise_model_info(m)->window > 0;
    snprintf(what, sizeof what, "%.63s/%s", name, type);
    check(m, p, ids, n, what);
    snprintf(what, sizeof what, "%.63s/%s, %s", name, type, has_window ? "window 21" : "sinks");
    if (has_window)
        p.window = 21;
    else
        p = (struct bise_engine_params){.n_ctx = 48, .window = -1, .n_sinks = 16};
    check(m, p, ids, n, what);
    if (strcmp(type, "i4") == 0) {
        p.kv = BISE_KV_I4;
        snprintf(what, sizeof what, "%.63s/%s, a cache of 4 bits", name, type);
        check(m, p, ids, n, what);
    }
    bise_model_close(&m);
}

int main(int argc, char **argv) {
    static const char *const types[] = {"f32", "i8", "i4"}, root[] = "tests/data/golden";
    const int rounds = argc > 1 ? atoi(argv[1]) : 1;
    const char *const tmp = getenv("TMPDIR");
    setvbuf(stdout, NULL, _IOLBF, 0);
    DIR *d = opendir(root);
    if (d == NULL)
        die("open", root);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[1100], file[512];
        int32_t ids[MAX_IDS];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%.63s/tokens.txt", root, e->d_name);
        const size_t n = read_ids(path, ids);
        snprintf(path, sizeof path, "%s/%.63s", root, e->d_name);
        snprintf(file, sizeof file, "%s/splits-%ld.bise", tmp ? tmp : "/tmp", (long)getpid());
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            make_file(path, file, types[t]);
            for (int i = 0; i < rounds; i++)
                check_file(e->d_name, types[t], file, ids, n);
        }
        unlink(file);
    }
    closedir(d);
    return n_failed != 0;
}
