/*
 * Memory fixed at start: a model with a window of 64 is fed 100,000 tokens. Resident memory does
 * not grow, and the last logits are those of a run over the last layers * (window - 1) + 1 tokens
 * alone at their true positions, however the ring wrapped.
 */
#include "src/os/mem.h"
#include "tests/golden/models.h"
#include "tools/cmd/synth.h"

#define N_TOKENS 100000
#define WINDOW   64
#define LAYERS   2
#define SHAPE    "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=192,window=64"

static void write_model(const char *path, enum tensor_type type) {
    struct bise_error err;
    struct synth *s = calloc(1, sizeof *s);
    if (s == NULL)
        die("synth", "no memory");
    s->type = type;
    s->n_threads = 1;
    synth_init_table(s);
    must(synth_parse_shape(&s->config, SHAPE, &err), "synth", &err);
    must(synth_write_bise(s, path, &err), "synth", &err);
    free(s);
}

static struct bise_session *run(const struct bise_model *m, const int32_t *ids, size_t n,
                                uint32_t chunk, bool one_by_one, uint64_t start_pos) {
    struct bise_error err;
    struct bise_session *s = open_session(m, NULL, 2, chunk, start_pos);
    if (!one_by_one)
        must(bise_prefill(s, ids, n, NULL, NULL, &err), "prefill", &err);
    for (size_t i = 0; i < n && one_by_one; i++)
        must(bise_decode(s, ids[i], &err), "decode", &err);
    return s;
}

/* one_by_one: i4, whose arithmetic depends on the length of a call. */
static void test(const char *path, const char *name, bool one_by_one, uint32_t chunk,
                 const int32_t *ids) {
    struct bise_model *m;
    struct bise_error err;
    char text[120];
    must(bise_model_open(&m, path, NULL, &err), "open", &err);
    struct bise_session *s = run(m, ids, 128, chunk, one_by_one, 0);
    const uint64_t before = mem_resident();
    if (!one_by_one)
        must(bise_prefill(s, ids + 128, N_TOKENS - 128, NULL, NULL, &err), "prefill", &err);
    for (size_t i = 128; i < N_TOKENS && one_by_one; i++)
        must(bise_decode(s, ids[i], &err), "decode", &err);
    const uint64_t after = mem_resident();
    if (getenv("SANITIZER") && getenv("SANITIZER")[0])
        printf("skipped %s: resident memory: a sanitizer's grows\n", name);
    else {
        snprintf(text, sizeof text, "resident memory grew by %lld bytes over %d tokens",
                 (long long)(after - before), N_TOKENS - 128);
        result(after < before + (1 << 20), name, text);
    }
    const size_t tail = LAYERS * (WINDOW - 1) + 1;
    struct bise_session *end =
        run(m, ids + N_TOKENS - tail, tail, chunk, one_by_one, N_TOKENS - tail);
    snprintf(text, sizeof text, "the last %zu tokens alone give the same bits (ring %u)", tail,
             bise_session_plan(s)->ring);
    const size_t vocab = bise_model_info(m)->vocab_size;
    result(memcmp(bise_logits(s), bise_logits(end), vocab * sizeof(float)) == 0, name, text);
    bise_session_close(&end);
    end = run(m, ids + N_TOKENS - tail + 20, tail - 20, chunk, one_by_one, N_TOKENS - tail + 20);
    result(memcmp(bise_logits(s), bise_logits(end), vocab * sizeof(float)) != 0, name,
           "fewer do not");
    bise_session_close(&end);
    bise_session_close(&s);
    bise_model_close(&m);
}

int main(void) {
    char path[512];
    const char *const tmp = getenv("TMPDIR");
    int32_t *ids = malloc(N_TOKENS * sizeof *ids);
    if (ids == NULL)
        die("memory", "no memory for the ids");
    uint32_t seed = 1;
    for (size_t i = 0; i < N_TOKENS; i++) {
        seed = seed * 1664525u + 1013904223u;
        ids[i] = (int32_t)((seed >> 8) % 192);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(path, sizeof path, "%s/memory-%ld.bise", tmp ? tmp : "/tmp", (long)getpid());
    write_model(path, TYPE_F32);
    test(path, "f32, chunks of 256", false, 256, ids);
    test(path, "f32, chunks of 37", false, 37, ids);
    write_model(path, TYPE_I4);
    test(path, "i4, token by token", true, 16, ids);
    unlink(path);
    free(ids);
    return n_failed != 0;
}
