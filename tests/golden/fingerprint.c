/*
 * The same answer everywhere: checksums of the logits and of the greedy tokens of the demo model
 * and of every golden checkpoint against those in tests/data/fingerprints.txt, which one machine
 * wrote and every CPU, native or emulated, must reproduce bit for bit. usage: fingerprint [--print]
 * --print writes the table; wanted after a change of arithmetic or of quantization, and only then
 */
#include "src/base/crc32c.h"
#include "tests/golden/models.h"

#include <dirent.h>

#define TABLE    "tests/data/fingerprints.txt"
#define N_SINGLE 12 /* tokens that are run one by one as well */
#define N_GREEDY 16

struct fingerprint {
    uint32_t logits, greedy;
    bool one_by_one; /* gives the same logits as all at once */
};

static struct fingerprint fingerprint_of(const struct bise_model *m, const char *isa,
                                         enum bise_kv kv, const int32_t *ids, size_t n) {
    const struct bise_engine_params params = {
        .n_ctx = 512, .chunk = 128, .n_threads = 2, .isa = isa, .window = -1, .kv = kv};
    const size_t vocab = bise_model_info(m)->vocab_size;
    float *logits = malloc(n * vocab * sizeof *logits);
    float *single = malloc(N_SINGLE * vocab * sizeof *single);
    struct bise_error err;
    struct fingerprint f = {0};
    if (logits == NULL || single == NULL)
        die("memory", "logits");
    struct bise_session *s;
    must(bise_session_open(&s, m, &params, &err), "session", &err);
    run_logits(s, ids, N_SINGLE, 1, vocab, single);
    bise_reset(s);
    run_logits(s, ids, n, n, vocab, logits);
    f.one_by_one = memcmp(single, logits, N_SINGLE * vocab * sizeof *single) == 0;
    f.logits = crc32c(0, logits, n * vocab * sizeof *logits);
    int32_t id = (int32_t)argmax(logits + (n - 1) * vocab, vocab);
    for (int i = 0; i < N_GREEDY; i++) {
        f.greedy = crc32c(f.greedy, &id, sizeof id);
        must(bise_decode(s, id, &err), "decode", &err);
        id = (int32_t)argmax(bise_logits(s), vocab);
    }
    bise_session_close(&s);
    free(logits);
    free(single);
    return f;
}

/* The table's line for a name; false if it has none. */
static bool expected(const char *name, struct fingerprint *f) {
    FILE *table = fopen(TABLE, "r");
    char found[64];
    bool has = false;
    if (table == NULL)
        die("open", TABLE);
    while (!has && fscanf(table, "%63s %x %x", found, &f->logits, &f->greedy) == 3)
        has = strcmp(found, name) == 0;
    fclose(table);
    return has;
}

static void check_cache(const char *name, const struct bise_model *m, enum bise_kv kv,
                        const int32_t *ids, size_t n, bool print) {
    const char *isas[ISA_COUNT];
    const size_t n_isas = isa_names(isas);
    if (print) {
        const struct fingerprint f = fingerprint_of(m, NULL, kv, ids, n);
        printf("%s %08x %08x\n", name, f.logits, f.greedy);
        return;
    }
    struct fingerprint want = {0};
    if (!expected(name, &want))
        result(false, name, "no line in " TABLE);
    for (size_t i = n_isas > 1; i < n_isas;
         i++) { /* golden.c compares the scalar table with these */
        const struct fingerprint f = fingerprint_of(m, isas[i], kv, ids, n);
        result(f.logits == want.logits, name, "logits");
        result(f.one_by_one, name, "the same logits one by one");
        result(f.greedy == want.greedy, name, "greedy tokens");
    }
}

/* With the type of cache that the model has by itself, and with one of 4 bits. */
static void check(const char *name, const struct bise_model *m, const int32_t *ids, size_t n,
                  bool print) {
    char with[96];
    snprintf(with, sizeof with, "%.80s,kv-i4", name);
    check_cache(name, m, BISE_KV_AUTO, ids, n, print);
    check_cache(with, m, BISE_KV_I4, ids, n, print);
}

static void check_checkpoint(const char *dir, const char *model, const char *type, bool print) {
    const char *const tmp = getenv("TMPDIR");
    char path[1100], file[512], name[80];
    int32_t ids[MAX_IDS];
    struct bise_model *m;
    struct bise_error err;
    snprintf(path, sizeof path, "%s/%.63s/tokens.txt", dir, model);
    const size_t n = read_ids(path, ids);
    snprintf(path, sizeof path, "%s/%.63s", dir, model);
    snprintf(file, sizeof file, "%s/fingerprint-%ld.bise", tmp ? tmp : "/tmp", (long)getpid());
    snprintf(name, sizeof name, "%.63s/%s", model, type);
    make_file(path, file, type);
    must(bise_model_open(&m, file, NULL, &err), "open", &err);
    check(name, m, ids, n, print);
    bise_model_close(&m);
    unlink(file);
}

static void check_demo(bool print) {
    int32_t ids[64];
    struct bise_model *m;
    struct bise_error err;
    must(bise_model_open(&m, "models/demo.bise", NULL, &err), "open", &err);
    for (int i = 0; i < 64; i++)
        ids[i] = i == 0 ? 1 : (i * 7919 + 259) % (int32_t)bise_model_info(m)->vocab_size;
    check("demo", m, ids, 64, print);
    bise_model_close(&m);
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

int main(int argc, char **argv) {
    static const char *const types[] = {"f32", "bf16", "i8", "i4"}, root[] = "tests/data/golden";
    const bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
    char names[64][64];
    size_t n = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    DIR *d = opendir(root);
    if (d == NULL)
        die("open", root);
    for (struct dirent *e; (e = readdir(d)) != NULL && n < 64;)
        if (e->d_name[0] != '.')
            snprintf(names[n++], sizeof names[0], "%.63s", e->d_name);
    closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    check_demo(print);
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            check_checkpoint(root, names[i], types[t], print);
    return n_failed != 0;
}
