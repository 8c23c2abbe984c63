/* Sessions as files: the same bits go on, whatever wrote the file and whatever reads it; anything
 * else is refused, and leaves a session that works. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/engine/kv.h"
#include "src/os/cpu.h"
#include "src/store/session_file.h"
#include "tests/unit/synth_model.h"
#include "tests/unit/tiny_model.h"

#include <math.h>
#include <sys/stat.h>

#define VOCAB  96
#define WINDOW "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=24"
#define N_NEXT 20 /* tokens that go on after a resumption */

static char folder[256], model_path[300], path[300];
static struct bise_model *model;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(model_path, sizeof model_path, "%s/m.bise", folder);
    snprintf(path, sizeof path, "%s/talk", folder);
    model = synth_model(model_path, WINDOW, TYPE_I4);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    unlink(model_path);
    cr_assert_eq(rmdir(folder), 0, "nothing is left in the folder");
}

TestSuite(session_file, .init = setup, .fini = teardown);

static struct bise_sampler *open_sampler(uint32_t repeat_last) {
    const struct bise_sampler_params p = {
        .temp = 1, .repeat_penalty = 1.3f, .repeat_last = repeat_last, .seed = 5};
    struct bise_sampler *sampler = NULL;
    cr_assert_eq(bise_sampler_open(&sampler, VOCAB, &p, NULL), BISE_OK);
    return sampler;
}

static void feed(struct bise_session *s, struct bise_sampler *sampler, size_t n) {
    int32_t ids[400];
    (void)sampler;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)((i * 29 + i * i % 31) % VOCAB);
    cr_assert_eq(bise_prefill(s, ids, n, NULL, NULL, NULL), BISE_OK);
}

/* What a session says next, and the bits it says it from. */
struct next {
    int32_t ids[N_NEXT];
    uint32_t logits;
};

/* Penalties look at what the session itself holds. */
static int32_t next_id(struct bise_session *s, struct bise_sampler *sampler) {
    int32_t ids[32];
    const size_t n = bise_last_ids(s, ids, 32);
    return bise_sample(sampler, bise_logits(s), NULL, ids, n, bise_position(s));
}

static struct next next_of(struct bise_session *s, struct bise_sampler *sampler) {
    struct next next = {.logits = 0};
    for (int i = 0; i < N_NEXT; i++) {
        next.logits = crc32c(next.logits, bise_logits(s), VOCAB * sizeof(float));
        next.ids[i] = next_id(s, sampler);
        cr_assert_eq(bise_decode(s, next.ids[i], NULL), BISE_OK);
    }
    return next;
}

static void save(const struct bise_session *s, const struct bise_sampler *sampler) {
    struct bise_error err = {0};
    cr_assert_eq(bise_session_save(s, bise_sampler_seed(sampler), "a note", 6, path, &err), BISE_OK,
                 "%s", err.detail);
}

static enum bise_status load(struct bise_session *s, struct bise_sampler *sampler,
                             struct bise_error *err) {
    uint64_t seed = 12345;
    const enum bise_status status = bise_session_load(s, &seed, path, err);
    if (sampler && status == BISE_OK)
        bise_sampler_set_seed(sampler, seed);
    return status;
}

/* Saves after n tokens under `from`, loads under `to`, and compares what comes next. */
static void resume(struct bise_engine_params from, struct bise_engine_params to, size_t n) {
    struct bise_error err = {0};
    struct bise_session *a = open_session(model, from), *b = open_session(model, to);
    struct bise_sampler *sa = open_sampler(16), *sb = open_sampler(16);
    feed(a, sa, n);
    save(a, sa);
    const uint64_t pos = bise_position(a);
    const struct next want = next_of(a, sa);
    feed(b, sb, 37); /* whatever was there before */
    cr_assert_eq(load(b, sb, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_position(b), pos);
    const struct next got = next_of(b, sb);
    cr_assert_eq(memcmp(&want, &got, sizeof want), 0, "after %zu tokens", n);
    bise_sampler_close(&sa);
    bise_sampler_close(&sb);
    bise_session_close(&a);
    bise_session_close(&b);
}

Test(session_file, the_same_bits_on_every_isa_and_thread_count) {
    struct cpu_features cpu;
    uint32_t crc = 0;
    cpu_detect(&cpu);
    for (int i = 0; i < ISA_COUNT; i++) {
        if (!cpu.isa[i])
            continue;
        const char *const isa = isa_name((enum isa)i);
        for (int to_best = 0; to_best < 2; to_best++) {
            const struct bise_engine_params one = {
                .isa = isa, .n_threads = 1, .chunk = 16, .window = -1};
            const struct bise_engine_params other = {.n_threads = 3, .chunk = 16, .window = -1};
            resume(to_best ? one : other, to_best ? other : one, 150);
            size_t n;
            uint8_t *const bytes = tiny_slurp(path, &n);
            cr_assert_not_null(bytes);
            cr_assert(crc == 0 || crc == crc32c(0, bytes, n), "%s writes another file", isa);
            crc = crc32c(0, bytes, n);
            free(bytes);
        }
    }
}

Test(session_file, every_cache_type_with_and_without_a_window) {
    static const size_t lengths[] = {1, 15, 16, 17, 60, 200, 333};
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            const struct bise_engine_params with = {.kv = kv, .window = -1, .chunk = 8};
            const struct bise_engine_params without = {.kv = kv, .n_ctx = 400};
            resume(with, with, lengths[i]);
            resume(without, without, lengths[i]);
        }
}

Test(session_file, other_sizes_of_ring_and_context) {
    static const uint32_t chunks[] = {4, 8, 21, 64, 200};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            const struct bise_engine_params from = {.chunk = chunks[i], .window = -1};
            const struct bise_engine_params to = {
                .chunk = chunks[j], .window = -1, .n_ctx = 50 + 40 * chunks[i]};
            resume(from, to, 211);
        }
    resume((struct bise_engine_params){.n_ctx = 100}, (struct bise_engine_params){.n_ctx = 300},
           70);
    resume((struct bise_engine_params){.n_ctx = 300}, (struct bise_engine_params){.n_ctx = 100},
           70);
    resume((struct bise_engine_params){.window = -1, .start_pos = 1000003, .chunk = 16},
           (struct bise_engine_params){.window = -1, .chunk = 16}, 90);
    resume((struct bise_engine_params){.n_ctx = 100, .start_pos = 7},
           (struct bise_engine_params){.n_ctx = 100, .start_pos = 7}, 70);
}

Test(session_file, what_was_taken_back_is_not_in_it) {
    const struct bise_engine_params p = {.window = -1, .chunk = 16};
    struct bise_session *a = open_session(model, p), *b = open_session(model, p);
    struct bise_sampler *sa = open_sampler(0), *sb = open_sampler(8);
    feed(a, sa, 200);
    cr_assert_eq(bise_truncate(a, 180, NULL), BISE_OK);
    save(a, sa);
    cr_assert_eq(load(b, sb, NULL), BISE_OK);
    cr_assert_eq(bise_position(b), 180);
    const int32_t id = 7;
    cr_assert_eq(bise_decode(a, id, NULL), BISE_OK);
    cr_assert_eq(bise_decode(b, id, NULL), BISE_OK);
    cr_assert_eq(memcmp(bise_logits(a), bise_logits(b), VOCAB * sizeof(float)), 0);
    /* Not a byte of it: the file is that of a session that never held it. */
    struct bise_session *c = open_session(model, p);
    size_t n[2] = {0};
    uint8_t *bytes[2];
    cr_assert_eq(bise_truncate(a, 180, NULL), BISE_OK);
    save(a, sa);
    bytes[0] = tiny_slurp(path, &n[0]);
    feed(c, sa, 180);
    cr_assert_eq(bise_truncate(c, 179, NULL), BISE_OK);
    cr_assert_eq(bise_decode(c, (179 * 29 + 179 * 179 % 31) % VOCAB, NULL), BISE_OK);
    cr_assert_eq(bise_decode(c, 7, NULL), BISE_OK);
    cr_assert_eq(bise_truncate(c, 180, NULL), BISE_OK);
    save(c, sa);
    bytes[1] = tiny_slurp(path, &n[1]);
    cr_assert_eq(n[0], n[1]);
    cr_assert_eq(memcmp(bytes[0], bytes[1], n[0]), 0);
    free(bytes[0]);
    free(bytes[1]);
    bise_session_close(&c);
    cr_assert_eq(bise_decode(a, id, NULL), BISE_OK);
    cr_assert_eq(bise_truncate(b, 170, NULL), BISE_OK, "going back works on");
    int32_t ids[2][64];
    cr_assert_eq(bise_truncate(a, 170, NULL), BISE_OK);
    cr_assert_eq(bise_last_ids(a, ids[0], 64), 64);
    cr_assert_eq(bise_last_ids(b, ids[1], 64), 64);
    cr_assert_eq(memcmp(ids[0], ids[1], sizeof ids[0]), 0);
    bise_sampler_close(&sa);
    bise_sampler_close(&sb);
    bise_session_close(&a);
    bise_session_close(&b);
}

Test(session_file, an_empty_session_and_its_note) {
    struct bise_session *s = open_session(model, (struct bise_engine_params){.window = -1});
    struct bise_error err = {0};
    void *note;
    size_t len;
    struct stat st;
    cr_assert_eq(bise_session_save(s, 9, "hello", 5, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600, "a conversation is private");
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(bise_session_save(s, 9, "hello", 5, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0640, "an old file's mode stays");
    cr_assert_eq(bise_session_note(model, path, &note, &len, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(len, 5);
    cr_assert_eq(memcmp(note, "hello", 5), 0);
    free(note);
    struct bise_sampler *sampler = open_sampler(4);
    cr_assert_eq(load(s, sampler, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_position(s), 0);
    bise_sampler_close(&sampler);
    bise_session_close(&s);
}

/* Expects a refusal with text in it, and that the session then goes on as it would have. */
static void refused(struct bise_engine_params p, enum bise_status status, const char *text) {
    struct bise_session *s = open_session(model, p), *same = open_session(model, p);
    struct bise_sampler *a = open_sampler(8), *b = open_sampler(8);
    struct bise_error err = {0};
    feed(s, a, 40);
    feed(same, b, 40);
    cr_assert_eq(load(s, a, &err), status, "%s", err.detail);
    cr_assert_not_null(strstr(err.detail, text), "%s", err.detail);
    const struct next got = next_of(s, a), want = next_of(same, b);
    cr_assert_eq(memcmp(&got, &want, sizeof got), 0, "nothing has changed");
    bise_sampler_close(&a);
    bise_sampler_close(&b);
    bise_session_close(&s);
    bise_session_close(&same);
}

Test(session_file, other_sessions_are_refused_and_change_nothing) {
    struct bise_session *s = open_session(model, (struct bise_engine_params){.n_ctx = 300});
    struct bise_sampler *sampler = open_sampler(8);
    feed(s, sampler, 100);
    save(s, sampler);
    refused((struct bise_engine_params){.window = -1}, BISE_ERR_ARG, "a window of 0 and 0 sinks");
    refused((struct bise_engine_params){.n_ctx = 300, .kv = BISE_KV_F16}, BISE_ERR_ARG,
            "a cache of i8");
    refused((struct bise_engine_params){.n_ctx = 90}, BISE_ERR_CONTEXT, "100 tokens");
    refused((struct bise_engine_params){.n_ctx = 300, .start_pos = 5}, BISE_ERR_ARG,
            "begins at position 0");
    bise_session_close(&s);
    bise_sampler_close(&sampler);
    bise_model_close(&model);
    char other[320];
    snprintf(other, sizeof other, "%s/other.bise", folder);
    model = synth_model(other, WINDOW, TYPE_I8);
    refused((struct bise_engine_params){.n_ctx = 300}, BISE_ERR_UNSUPPORTED,
            "another model: expected other.bise");
    unlink(other);
}

/* Expects the damaged file to be refused. */
static void check_refused(const uint8_t *bytes, size_t n, struct bise_session *s,
                          struct bise_sampler *sampler, size_t at) {
    struct bise_error err = {0};
    cr_assert(tiny_dump(path, bytes, n));
    const enum bise_status status = load(s, sampler, &err);
    cr_assert(status == BISE_ERR_FORMAT || status == BISE_ERR_UNSUPPORTED, "at %zu: %d %s", at,
              (int)status, err.detail);
    cr_assert_neq(err.detail[0], 0);
}

Test(session_file, damage_anywhere_is_found) {
    const struct bise_engine_params p = {.window = -1, .chunk = 4, .n_ctx = 32};
    struct bise_session *s = open_session(model, p);
    struct bise_sampler *sampler = open_sampler(8);
    size_t n;
    feed(s, sampler, 40);
    (void)next_of(s, sampler); /* random numbers are drawn */
    save(s, sampler);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    for (size_t at = 0; at < n; at += at < 400 || at + 1000 > n ? 1 : 97) {
        bytes[at] ^= (uint8_t)(1 << at % 8);
        check_refused(bytes, n, s, sampler, at);
        bytes[at] ^= (uint8_t)(1 << at % 8);
    }
    for (size_t len = 0; len < n; len += len < 400 ? 1 : 131)
        check_refused(bytes, len, s, sampler, len);
    /* A session that failed to load is a new one, and its sampler too. */
    struct bise_session *same = open_session(model, p);
    struct bise_sampler *again = open_sampler(8);
    bise_reset(s);
    feed(s, sampler, 30);
    feed(same, again, 30);
    const struct next got = next_of(s, sampler), want = next_of(same, again);
    cr_assert_eq(memcmp(&got, &want, sizeof got), 0);
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(load(s, sampler, NULL), BISE_OK, "the file itself is sound");
    free(bytes);
    bise_session_close(&s);
    bise_session_close(&same);
    bise_sampler_close(&sampler);
    bise_sampler_close(&again);
}

/* Puts a value into the file [len] at byte `at` of the cache's part, of what is behind it where at
 * lies beyond its end, with the right CRCs. */
static void forge(uint8_t *bytes, size_t len, size_t at, const void *value, size_t n) {
    struct session_header h;
    cr_assert_eq(session_header_read(&h, bytes, len, "forged", NULL), BISE_OK);
    const size_t cache = SESSION_HEADER + h.note_bytes + 4;
    const size_t state_len = 4 * (h.n_ids + h.vocab_size);
    const size_t cache_len = len - cache - 4 - state_len - 4, state = cache + cache_len + 4;
    memcpy(bytes + cache + at, value, n);
    put_u32(bytes + cache + cache_len, crc32c(0, bytes + cache, cache_len));
    put_u32(bytes + len - 4, crc32c(0, bytes + state, state_len));
}

Test(session_file, values_that_no_cache_holds) {
    static const uint16_t half_inf = 0x7c00;
    static const int8_t code = -128;
    static const uint8_t grid = 0x3f; /* zero 3, step 15: 180 */
    const float inf = INFINITY, negative = -1;
    /* Of the first layer and head: 48 positions of keys of 32, then values, then scales. */
    const struct {
        enum bise_kv kv;
        size_t at;
        const void *value;
        size_t n;
    } cases[] = {
        {BISE_KV_I8, 100, &code, 1},          {BISE_KV_I8, 48 * 64 + 8, &inf, 4},
        {BISE_KV_I8, 48 * 68 + 8, &inf, 4},   {BISE_KV_I8, 48 * 64 + 8, &negative, 4},
        {BISE_KV_F16, 48 * 64, &half_inf, 2}, {BISE_KV_F32, 1200, &inf, 4},
        {BISE_KV_I4, 48 * 40 + 3, &grid, 1},  {BISE_KV_I4, 48 * 41 + 3, &grid, 1},
        {BISE_KV_I4, 48 * 32 + 8, &inf, 4},   {BISE_KV_I4, 48 * 36 + 8, &negative, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bise_session *s =
            open_session(model, (struct bise_engine_params){.n_ctx = 64, .kv = cases[i].kv});
        struct bise_sampler *sampler = open_sampler(8);
        struct bise_error err = {0};
        size_t n;
        feed(s, sampler, 40);
        save(s, sampler);
        uint8_t *const bytes = tiny_slurp(path, &n);
        cr_assert_not_null(bytes);
        forge(bytes, n, cases[i].at, cases[i].value, cases[i].n);
        cr_assert(tiny_dump(path, bytes, n));
        cr_assert_eq(load(s, sampler, &err), BISE_ERR_FORMAT, "case %zu", i);
        cr_assert_not_null(strstr(err.detail, "layer 0, head 0"), "case %zu: %s", i, err.detail);
        free(bytes);
        bise_session_close(&s);
        bise_sampler_close(&sampler);
    }
}

/* A session begun at 7 never writes the positions before, but its first group is read whole. */
Test(session_file, nothing_of_a_refused_file_stays) {
    const struct bise_engine_params p = {.n_ctx = 64, .start_pos = 7, .kv = BISE_KV_F32};
    struct bise_session *s = open_session(model, p), *same = open_session(model, p);
    struct bise_sampler *a = open_sampler(8), *b = open_sampler(8);
    struct bise_error err = {0};
    const float inf = INFINITY;
    size_t n;
    feed(s, a, 40);
    save(s, a);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    forge(bytes, n, 48 * 128 + 3 * 128, &inf, 4); /* a value of position 3 */
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(load(s, a, &err), BISE_ERR_FORMAT);
    feed(s, a, 5);
    feed(same, b, 5);
    const struct next got = next_of(s, a), want = next_of(same, b);
    cr_assert_eq(memcmp(&got, &want, sizeof got), 0);
    free(bytes);
    bise_session_close(&s);
    bise_session_close(&same);
    bise_sampler_close(&a);
    bise_sampler_close(&b);
}

Test(session_file, logits_that_are_no_numbers) {
    struct bise_session *s = open_session(model, (struct bise_engine_params){.n_ctx = 64});
    struct bise_sampler *sampler = open_sampler(8);
    struct bise_error err = {0};
    const float inf = INFINITY;
    size_t n;
    feed(s, sampler, 40);
    save(s, sampler);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    forge(bytes, n, n - 8 - (SESSION_HEADER + 6 + 4), &inf, 4);
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(load(s, sampler, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "logits"), "%s", err.detail);
    free(bytes);
    bise_session_close(&s);
    bise_sampler_close(&sampler);
}

/* The file is forged as a whole: its length is what its header says. */
Test(session_file, numbers_that_no_header_holds) {
    static const struct {
        const char *what;
        size_t at;
        uint64_t value; /* added */
        size_t longer;  /* the file, by that many bytes */
        enum bise_status status;
    } cases[] = {
        {"ids before the start", S_N_IDS, 1, 4, BISE_ERR_FORMAT},
        {"sinks that are not whole groups", S_N_SINKS, 1, 288, BISE_ERR_FORMAT},
        {"logits without their flag", S_FLAGS, (uint64_t)-1, 0, BISE_ERR_FORMAT},
        {"unused bytes", S_UNUSED + 12, 1 << 24, 0, BISE_ERR_FORMAT},
        {"unknown flags", S_FLAGS, 2, 0, BISE_ERR_FORMAT},
        {"another model", S_MODEL_HASH, 1, 0, BISE_ERR_UNSUPPORTED},
    };
    struct bise_session *s = open_session(model, (struct bise_engine_params){.n_ctx = 64});
    struct bise_sampler *sampler = open_sampler(8);
    size_t n = 0;
    feed(s, sampler, 40);
    save(s, sampler);
    uint8_t *const bytes = tiny_slurp(path, &n), *const forged = calloc(1, n + 512);
    cr_assert(bytes && forged);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len = n + cases[i].longer;
        struct bise_error err = {0};
        void *note;
        size_t note_len;
        memcpy(forged, bytes, n);
        put_u64(forged + S_FILE_BYTES, len);
        put_u32(forged + cases[i].at, (uint32_t)(get_u32(forged + cases[i].at) + cases[i].value));
        put_u32(forged + S_HEADER_CRC, 0);
        put_u32(forged + S_HEADER_CRC, crc32c(0, forged, SESSION_HEADER));
        cr_assert(tiny_dump(path, forged, len));
        cr_expect_eq(bise_session_note(model, path, &note, &note_len, &err), cases[i].status,
                     "%s: %s", cases[i].what, err.detail);
    }
    free(bytes);
    free(forged);
    bise_session_close(&s);
    bise_sampler_close(&sampler);
}

/* A ring smaller than what the file holds: its last group takes the place of the first one. */
Test(session_file, going_back_in_a_smaller_ring) {
    const struct bise_engine_params p = {.window = -1, .chunk = 4, .spare = 24};
    struct bise_session *a =
        open_session(model, (struct bise_engine_params){.window = -1, .chunk = 200, .spare = 24});
    struct bise_session *b = open_session(model, p), *c = open_session(model, p);
    struct bise_sampler *sampler = open_sampler(8);
    const int32_t id = 7;
    cr_assert_eq(bise_session_plan(b)->ring, 80);
    feed(a, sampler, 211);
    save(a, sampler);
    cr_assert_eq(load(b, NULL, NULL), BISE_OK); /* positions 144 .. 223 */
    cr_assert_eq(bise_truncate(b, 144 + 22, NULL), BISE_ERR_CONTEXT);
    feed(c, sampler, 211); /* positions 131 .. 210 */
    save(c, sampler);
    cr_assert_eq(load(a, NULL, NULL), BISE_OK, "as many as its ring has");
    cr_assert_eq(bise_truncate(a, 144 + 22, NULL), BISE_ERR_CONTEXT);
    cr_assert_eq(bise_truncate(a, 144 + 23, NULL), BISE_OK);
    cr_assert_eq(bise_truncate(b, 144 + 23, NULL), BISE_OK);
    cr_assert_eq(bise_truncate(c, 144 + 23, NULL), BISE_OK);
    cr_assert_eq(bise_decode(a, id, NULL), BISE_OK);
    cr_assert_eq(bise_decode(b, id, NULL), BISE_OK);
    cr_assert_eq(bise_decode(c, id, NULL), BISE_OK);
    cr_assert_eq(memcmp(bise_logits(b), bise_logits(c), VOCAB * sizeof(float)), 0);
    cr_assert_eq(memcmp(bise_logits(a), bise_logits(c), VOCAB * sizeof(float)), 0);
    bise_session_close(&a);
    bise_session_close(&b);
    bise_session_close(&c);
    bise_sampler_close(&sampler);
}

Test(session_file, the_note_survives_damage_behind_it) {
    struct bise_session *s = open_session(model, (struct bise_engine_params){.window = -1});
    struct bise_sampler *sampler = open_sampler(8);
    struct bise_error err = {0};
    size_t n, len;
    void *note;
    feed(s, sampler, 40);
    save(s, sampler);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    cr_assert(tiny_dump(path, bytes, n / 2));
    cr_assert_eq(load(s, sampler, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "truncated"), "%s", err.detail);
    cr_assert_eq(bise_session_note(model, path, &note, &len, &err), BISE_OK, "%s", err.detail);
    cr_assert(len == 6 && memcmp(note, "a note", 6) == 0);
    free(note);
    cr_assert(tiny_dump(path, bytes, SESSION_HEADER + 5));
    cr_assert_eq(bise_session_note(model, path, &note, &len, &err), BISE_ERR_FORMAT);
    cr_assert_null(note);
    bytes[SESSION_HEADER + 1] ^= 1;
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(bise_session_note(model, path, &note, &len, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "the note is damaged"), "%s", err.detail);
    free(bytes);
    bise_session_close(&s);
    bise_sampler_close(&sampler);
}

Test(session_file, what_cannot_be_written_is_said) {
    struct bise_session *s = open_session(model, (struct bise_engine_params){.window = -1});
    struct bise_error err = {0};
    cr_assert_eq(bise_session_save(s, 9, NULL, 0, "/no/such/folder/talk", &err), BISE_ERR_IO);
    cr_assert_eq(bise_session_save(s, 9, NULL, 0, folder, &err), BISE_ERR_IO);
    cr_assert_not_null(strstr(err.detail, "regular file"), "%s", err.detail);
    cr_assert_eq(load(s, NULL, &err), BISE_ERR_IO, "there is none");
    bise_session_close(&s);
}

/* Not by its window, which a session has of its own, nor by where things are in the file; but by
 * every weight. */
Test(session_file, models_are_told_apart_by_what_their_bits_depend_on) {
    static const char *const shapes[] = {
        "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=32",
        "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=24,theta=20000",
        "dim=64,ffn=128,layers=2,heads=4,kv=2,vocab=96,window=24",
    };
    const uint64_t hash = session_model_hash(model), old = session_model_hash_1(model);
    char other[320];
    snprintf(other, sizeof other, "%s/other.bise", folder);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct bise_model *m = synth_model(other, shapes[i], TYPE_I4);
        cr_assert_eq(session_model_hash(m) == hash, i == 0, "%s", shapes[i]);
        cr_assert_neq(session_model_hash_1(m), old);
        bise_model_close(&m);
    }
    struct bise_model *m = synth_model(other, WINDOW, TYPE_I4);
    cr_assert_eq(session_model_hash(m), hash);
    m->tensors[m->n_tensors - 1].crc ^= 1;
    cr_assert_neq(session_model_hash(m), hash, "a tensor's CRC");
    m->tensors[m->n_tensors - 1].crc ^= 1;
    for (size_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i].type == TYPE_I4) {
            m->tensors[i].codebook[3]++;
            cr_assert_neq(session_model_hash(m), hash, "a codebook");
            m->tensors[i].codebook[3]--;
        }
    cr_assert_eq(session_model_hash(m), hash);
    bise_model_close(&m);
    unlink(other);
}

Test(session_file, a_cache_of_another_arithmetic_is_left_alone) {
    const struct bise_engine_params p = {.n_ctx = 64};
    struct bise_session *s = open_session(model, p);
    struct bise_sampler *sampler = open_sampler(8);
    struct bise_error err = {0};
    size_t n, len;
    void *note;
    feed(s, sampler, 40);
    save(s, sampler);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    put_u32(bytes + S_ARITHMETIC, SESSION_ARITHMETIC + 1);
    put_u32(bytes + S_HEADER_CRC, 0);
    put_u32(bytes + S_HEADER_CRC, crc32c(0, bytes, SESSION_HEADER));
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(bise_session_note(model, path, &note, &len, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(len, 6);
    free(note);
    refused(p, BISE_ERR_ARG, "another arithmetic");
    free(bytes);
    bise_session_close(&s);
    bise_sampler_close(&sampler);
}

Test(session_file, a_sequence_of_an_engine_goes_on_in_another) {
    struct bise_engine *engines[2];
    struct bise_error err = {0};
    const struct bise_engine_params p[] = {{.window = -1, .n_seqs = 3, .chunk = 16},
                                           {.window = -1, .n_seqs = 2, .chunk = 40}};
    int32_t ids[16];
    uint64_t seed = 0;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(bise_engine_open(&engines[i], model, &p[i], &err), BISE_OK, "%s", err.detail);
    for (int i = 0; i < 16; i++)
        ids[i] = i * 5 % VOCAB;
    struct bise_run run = {.seq = 2, .ids = ids, .n = 16, .want = BISE_WANT_LAST};
    for (int i = 0; i < 7; i++)
        cr_assert_eq(bise_step(engines[0], &run, 1, NULL, &err), BISE_OK);
    cr_assert_eq(bise_seq_save(engines[0], 2, UINT64_MAX, NULL, 0, path, &err), BISE_OK);
    cr_assert_eq(bise_seq_load(engines[1], 1, &seed, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(seed, UINT64_MAX);
    cr_assert_eq(memcmp(bise_seq_logits(engines[0], 2), bise_seq_logits(engines[1], 1),
                        VOCAB * sizeof(float)),
                 0);
    for (int i = 0; i < 2; i++) {
        run.seq = i == 0 ? 2 : 1;
        cr_assert_eq(bise_step(engines[i], &run, 1, NULL, &err), BISE_OK);
    }
    cr_assert_eq(memcmp(bise_seq_logits(engines[0], 2), bise_seq_logits(engines[1], 1),
                        VOCAB * sizeof(float)),
                 0);
    /* Without logits: gone back, and the next token is the first that has them. */
    cr_assert_eq(bise_seq_truncate(engines[0], 2, 120, &err), BISE_OK);
    cr_assert_eq(bise_seq_save(engines[0], 2, 0, NULL, 0, path, &err), BISE_OK);
    cr_assert_eq(bise_seq_load(engines[1], 0, NULL, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_null(bise_seq_logits(engines[1], 0));
    cr_assert_eq(bise_seq_position(engines[1], 0), 120);
    for (int i = 0; i < 2; i++)
        bise_engine_close(&engines[i]);
}
