/*
 * Whole models against logits and greedy continuations computed in double precision by another
 * program (tests/data/golden), over chunk sizes, threads and instruction sets.
 * usage: golden [FOLDER_OF_MODELS]
 */
#include "tests/golden/models.h"

#include <dirent.h>
#include <math.h>

struct golden {
    const char *name;
    char dir[512], file[512];
    int32_t ids[MAX_IDS], greedy[MAX_IDS];
    size_t n, n_greedy, vocab;
    float *want;  /* [n][vocab] from the reference */
    float *first; /* [n][vocab] of the first run of a file */
    float *again; /* of the others */
};

static double max_error(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = fabs((double)a[i] - (double)b[i]);
        worst = !(e <= worst) ? e : worst;
    }
    return worst;
}

/* KL divergence of softmax(b) from softmax(a), nats, over one position. */
static double divergence(const float *a, const float *b, size_t n) {
    const double ma = a[argmax(a, n)], mb = b[argmax(b, n)];
    double sa = 0, sb = 0, kl = 0;
    for (size_t i = 0; i < n; i++) {
        sa += exp(a[i] - ma);
        sb += exp(b[i] - mb);
    }
    for (size_t i = 0; i < n; i++) {
        const double la = a[i] - ma - log(sa), lb = b[i] - mb - log(sb);
        kl += exp(la) * (la - lb);
    }
    return kl;
}

/* Positions where the best token differs although the reference's two best are apart. */
static size_t wrong_best(const struct golden *g, double apart) {
    size_t wrong = 0;
    for (size_t t = 0; t < g->n; t++) {
        const float *const a = g->want + t * g->vocab, *const b = g->first + t * g->vocab;
        const size_t best = argmax(a, g->vocab);
        double second = -INFINITY;
        for (size_t i = 0; i < g->vocab; i++)
            second = i != best && a[i] > second ? a[i] : second;
        wrong += (double)a[best] - second > apart && argmax(b, g->vocab) != best;
    }
    return wrong;
}

/* Runs in calls of call_len; into first if that run is the first of its kind, else compares. */
static bool same_bits(struct golden *g, const struct bise_model *m, const char *isa, int n_threads,
                      size_t call_len, uint32_t chunk) {
    struct bise_session *s = open_session(m, isa, n_threads, chunk, 0);
    run_logits(s, g->ids, g->n, call_len, g->vocab, g->again);
    bise_session_close(&s);
    const bool same = memcmp(g->first, g->again, g->n * g->vocab * sizeof(float)) == 0;
    if (!same)
        printf("# %s: bits differ with %s, %d threads, calls of %zu\n", g->name, isa, n_threads,
               call_len);
    return same;
}

static void first_run(struct golden *g, const struct bise_model *m, const char *isa, size_t call) {
    struct bise_session *s = open_session(m, isa, 1, 128, 0);
    run_logits(s, g->ids, g->n, call, g->vocab, g->first);
    bise_session_close(&s);
}

static void open_model(struct golden *g, const char *type, struct bise_model **m) {
    struct bise_error err;
    make_file(g->dir, g->file, type);
    must(bise_model_open(m, g->file, NULL, &err), "open", &err);
}

static bool greedy_matches(const struct golden *g, const struct bise_model *m, size_t n_given) {
    struct bise_error err;
    struct bise_session *s = open_session(m, NULL, 2, 0, 0);
    must(bise_prefill(s, g->greedy, n_given, NULL, NULL, &err), "prefill", &err);
    bool good = true;
    for (size_t i = n_given; i < g->n_greedy && good; i++) {
        good = argmax(bise_logits(s), g->vocab) == (size_t)g->greedy[i];
        must(bise_decode(s, g->greedy[i], &err), "decode", &err);
    }
    bise_session_close(&s);
    return good;
}

static const size_t calls[] = {1, 7, 16, 64};
#define N_CALLS (sizeof calls / sizeof calls[0])

/* f32: close to the reference; the same bits however it is run. */
static void test_f32(struct golden *g, const char *const *isas, size_t n_isas) {
    struct bise_model *m;
    open_model(g, "f32", &m);
    first_run(g, m, isas[n_isas - 1], 16);
    const double worst = max_error(g->first, g->want, g->n * g->vocab);
    char text[160];
    snprintf(text, sizeof text, "f32 logits within 2e-4 (worst %.2e)", worst);
    result(worst < 2e-4, g->name, text);
    result(greedy_matches(g, m, 8), g->name, "f32 greedy continuation");
    for (size_t i = 0; i < n_isas; i++) {
        bool same = true;
        for (size_t c = 0; c < N_CALLS; c++)
            for (int t = 1; t <= 4; t++)
                if (i > 0 || (size_t)t == c + 1) /* scalar is slow: each value once */
                    same = same_bits(g, m, isas[i], t, calls[c], (uint32_t)calls[c]) && same;
        snprintf(text, sizeof text, "f32 bits, %s: calls of 1, 7, 16, 64, threads 1 to 4", isas[i]);
        result(same, g->name, text);
    }
    bise_model_close(&m);
}

/* i8 and i4: the same bits on every instruction set, any threads, in calls of any length. */
static void test_quantized(struct golden *g, const char *type, const char *const *isas,
                           size_t n_isas) {
    static const size_t lens[] = {MAX_IDS, 1, 23};
    struct bise_model *m;
    char text[160];
    bool same = true;
    open_model(g, type, &m);
    first_run(g, m, isas[n_isas - 1], g->n);
    for (size_t i = 0; i < n_isas; i++)
        for (size_t l = 0; l < 3; l++)
            for (int t = 1; t <= 4; t++)
                if (i > 0 || t == 1 + (int)l) /* scalar is slow */
                    same = same_bits(g, m, isas[i], t, lens[l], 128) && same;
    snprintf(text, sizeof text,
             "%s bits, every instruction set, threads 1 to 4, calls of 1, 23 and all", type);
    result(same, g->name, text);
    double kl = 0;
    for (size_t t = 0; t < g->n; t++)
        kl += divergence(g->want + t * g->vocab, g->first + t * g->vocab, g->vocab);
    kl /= (double)g->n;
    const size_t wrong = wrong_best(g, 0.05);
    snprintf(text, sizeof text, "%s: mean KL %.2e, best token differs at %zu of %zu", type, kl,
             wrong, g->n);
    if (strcmp(type, "i8") == 0)
        result(kl < 5e-4 && wrong == 0, g->name, text);
    else
        result(kl < 0.5, g->name, text); /* reported; far off only when something is broken */
    bise_model_close(&m);
}

static void load(struct golden *g, const char *root, const char *name) {
    char path[1100];
    g->name = name;
    snprintf(g->dir, sizeof g->dir, "%s/%s", root, name);
    snprintf(path, sizeof path, "%s/tokens.txt", g->dir);
    g->n = read_ids(path, g->ids);
    snprintf(path, sizeof path, "%s/greedy.txt", g->dir);
    g->n_greedy = read_ids(path, g->greedy);
    snprintf(path, sizeof path, "%s/logits.f32", g->dir);
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || g->n == 0)
        die("open", path);
    const size_t bytes = (size_t)ftell(f);
    rewind(f);
    g->vocab = bytes / sizeof(float) / g->n;
    g->want = malloc(bytes);
    g->first = malloc(bytes);
    g->again = malloc(bytes);
    if (!g->want || !g->first || !g->again || fread(g->want, 1, bytes, f) != bytes)
        die("read", path);
    fclose(f);
}

static void unload(struct golden *g) {
    free(g->want);
    free(g->first);
    free(g->again);
}

int main(int argc, char **argv) {
    const char *const root = argc > 1 ? argv[1] : "tests/data/golden";
    const char *isas[ISA_COUNT], *const tmp = getenv("TMPDIR");
    const size_t n_isas = isa_names(isas);
    setvbuf(stdout, NULL, _IOLBF, 0);
    DIR *d = opendir(root);
    if (d == NULL)
        die("open", root);
    size_t n_models = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        struct golden g = {0};
        load(&g, root, e->d_name);
        snprintf(g.file, sizeof g.file, "%s/golden-%ld.bise", tmp ? tmp : "/tmp", (long)getpid());
        test_f32(&g, isas, n_isas);
        test_quantized(&g, "i8", isas, n_isas);
        test_quantized(&g, "i4", isas, n_isas);
        unlink(g.file);
        unload(&g);
        n_models++;
    }
    closedir(d);
    result(n_models >= (argc > 1 ? 1 : 8), "golden", "all the models were there");
    return n_failed != 0;
}
