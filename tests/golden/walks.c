/*
 * The same answer every time: random walks through what can happen to a conversation (sending,
 * answers that are stopped, /undo, /regen, saving, being killed and resumed on another instruction
 * set with other threads and chunks), with windows of 16 to 128 that roll over many times, sinks,
 * turns that are left out, penalties, drafts, a grammar. After every step the next token's logits
 * are compared with those of a fresh reading of the same ids, and an answer's ids with what a
 * sampler that remembers nothing picks from such a reading.
 *
 * usage: walks [WALKS [SEED]]     default 6 walks, seed 1; 1000 take an hour
 */
#include "src/base/random.h"
#include "src/sampling/lookup.h"
#include "tests/golden/models.h"
#include "tools/chat/session_store.h"
#include "tools/common/interrupt.h"

#include <fcntl.h>
#include <pthread.h>

#define MODEL   "models/demo.bise"
#define N_STEPS 12
#define LONG    3000 /* ids of a long answer */

/* What a walk is begun with; what may change when it is resumed is drawn anew each time. */
struct settings {
    int64_t window; /* 0: none */
    uint32_t n_ctx, n_sinks;
    struct bise_sampler_params sampling;
    size_t lookup;
    const char *schema; /* NULL: none */
};

struct walk {
    struct settings settings;
    struct random_state random;
    struct runtime runtime;
    struct conversation c;
    struct session_store store;
    char path[600];
    char what[200]; /* happened last, for messages */
};

static size_t draw(struct walk *w, size_t n) {
    return (size_t)(random_u64(&w->random) % n);
}

/* ---- a fresh reading ------------------------------------------------------------------------ */

static struct bise_engine *open_fresh(struct walk *w) {
    const char *isas[ISA_COUNT];
    const size_t n_isas = isa_names(isas);
    struct bise_engine *e;
    struct bise_error err;
    const struct bise_engine_params params = {.n_ctx = w->settings.n_ctx,
                                              .chunk = (uint32_t)(1 + draw(w, 200)),
                                              .n_threads = (int)(1 + draw(w, 3)),
                                              .isa = isas[n_isas > 1 ? 1 + draw(w, n_isas - 1) : 0],
                                              .window = w->settings.window,
                                              .n_sinks = w->settings.n_sinks};
    must(bise_engine_open(&e, w->runtime.model, &params, &err), "fresh engine", &err);
    return e;
}

/* Reads ids [n]; the last one's logits are there then. */
static void read_fresh(struct bise_engine *e, const int32_t *ids, size_t n) {
    const size_t chunk = bise_engine_plan(e)->chunk;
    struct bise_error err;
    for (size_t at = 0, len; at < n; at += len) {
        len = n - at < chunk ? n - at : chunk;
        struct bise_run run = {.ids = ids + at, .n = len, .want = BISE_WANT_LAST};
        must(bise_step(e, &run, 1, NULL, &err), "fresh step", &err);
        must(run.status, "fresh run", &err);
    }
}

/* ---- the conversation ------------------------------------------------------------------------ */

static void open_all(struct walk *w) {
    const char *isas[ISA_COUNT];
    const size_t n_isas = isa_names(isas);
    struct runtime_options o = RUNTIME_DEFAULTS;
    o.model = MODEL;
    o.window = w->settings.window;
    o.n_ctx = w->settings.n_ctx;
    o.n_sinks = w->settings.n_sinks;
    o.threads = (int64_t)(1 + draw(w, 2));
    o.chunk = (int64_t)(16 + draw(w, 250));
    o.isa = isas[n_isas > 1 ? 1 + draw(w, n_isas - 1) : 0];
    o.spare = draw(w, 3) ? (uint32_t)(1 + draw(w, 100)) : BISE_SPARE_NONE;
    w->c = (struct conversation){.runtime = NULL};
    const struct constraint_source source = {.json_schema = w->settings.schema};
    if (runtime_open(&w->runtime, &o) != EXIT_DONE ||
        conversation_open(&w->c, &w->runtime, CHAT_V1) != EXIT_DONE ||
        constraint_open(&w->c.constraint, &w->runtime, &source) != EXIT_DONE ||
        speculation_open(&w->c.speculation, &w->runtime, w->settings.lookup) != EXIT_DONE)
        die("open", MODEL);
    must(bise_sampler_open(&w->c.sampler, w->runtime.info->vocab_size, &w->settings.sampling, NULL),
         "sampler", &(struct bise_error){.status = BISE_OK});
    w->c.overflow = OVERFLOW_DROP;
    w->c.out.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (session_store_open(&w->store, &w->c, CHAT_V1, w->path, false, false, true) != EXIT_DONE)
        die("session", w->path);
}

/* Without saving: as a kill leaves it, since every change is in the journal before anything
 * else. */
static void drop_all(struct walk *w) {
    session_store_close(&w->store);
    close(w->c.out.fd);
    bise_sampler_close(&w->c.sampler);
    conversation_close(&w->c);
    runtime_close(&w->runtime);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void fail_walk(const struct walk *w, const char *how) {
    char text[400];
    const struct settings *s = &w->settings;
    snprintf(text, sizeof text,
             "%s after %s (window %lld, context %u, sinks %u, temp %g, penalty %g, drafts %zu, "
             "grammar %d)",
             how, w->what, (long long)s->window, s->n_ctx, s->n_sinks, (double)s->sampling.temp,
             (double)s->sampling.repeat_penalty, s->lookup, s->schema != NULL);
    result(false, "walk", text);
}

/* The logits that the session would give for its next token, against those of a fresh reading. */
static bool same_state(struct walk *w) {
    struct conversation *const c = &w->c;
    struct bise_session *const s = w->runtime.session;
    struct bise_error err;
    const size_t n = c->held.n, vocab = w->runtime.info->vocab_size;
    if (bise_position(s) != n) {
        fail_walk(w, "the position is another");
        return false;
    }
    if (n == 0)
        return true;
    /* The last id is run again, so that what is left of the cache is looked at. */
    const enum bise_status back = bise_truncate(s, n - 1, &err);
    if (back == BISE_OK)
        must(bise_decode(s, c->held.ids[n - 1], &err), "the last id again", &err);
    if (!bise_logits(s))
        return true; /* begun within reach of a later text: nothing of it is looked at */
    struct bise_engine *fresh = open_fresh(w);
    read_fresh(fresh, c->held.ids, n);
    const bool same = memcmp(bise_logits(s), bise_seq_logits(fresh, 0), vocab * sizeof(float)) == 0;
    bise_engine_close(&fresh);
    if (!same)
        fail_walk(w, "other logits than a fresh reading's");
    return same;
}

/* The answer's ids, picked again from a fresh reading of what was before them. */
static bool same_answer(struct walk *w, size_t n_prompt) {
    const struct conversation *const c = &w->c;
    const struct bise_model_info *const info = w->runtime.info;
    struct constraint again = {.grammar = NULL};
    const struct constraint_source source = {.json_schema = w->settings.schema};
    struct bise_sampler_params p = w->settings.sampling;
    struct bise_sampler *sampler;
    struct bise_error err;
    p.seed = bise_sampler_seed(c->sampler);
    must(bise_sampler_open(&sampler, info->vocab_size, &p, &err), "sampler", &err);
    if (constraint_open(&again, &w->runtime, &source) != EXIT_DONE)
        die("grammar", "cannot be opened");
    struct bise_engine *fresh = open_fresh(w);
    int32_t *const ids = malloc((n_prompt + c->answer.n + 1) * sizeof *ids);
    memcpy(ids, c->held.ids, n_prompt * sizeof *ids);
    read_fresh(fresh, ids, n_prompt);
    if (again.grammar)
        bise_grammar_begin(again.grammar, true);
    bool same = true;
    for (size_t i = 0; i < c->answer.n && same; i++) {
        if (again.grammar) {
            must(bise_grammar_allowed(again.grammar, again.allowed, &err), "grammar", &err);
            size_t n_end;
            const int32_t *const end = chat_end_ids(c->chat, &n_end);
            for (size_t k = 0; k < n_end && bise_grammar_may_end(again.grammar); k++)
                again.allowed[end[k]] = 1;
        }
        const int32_t id = bise_sample(sampler, bise_seq_logits(fresh, 0), again.allowed, ids,
                                       n_prompt + i, n_prompt + i);
        same = id == c->answer.ids[i];
        ids[n_prompt + i] = id;
        if (i + 1 == c->answer.n || !same)
            break;
        if (again.grammar)
            must(bise_grammar_accept(again.grammar, id, &err), "grammar", &err);
        read_fresh(fresh, &id, 1);
    }
    free(ids);
    bise_engine_close(&fresh);
    constraint_close(&again);
    bise_sampler_close(&sampler);
    if (!same)
        fail_walk(w, "another answer than from a fresh reading");
    return same;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Raises Ctrl-C's flag once so many ids have been picked. */
struct stopper {
    const volatile size_t *n;
    size_t at;
    volatile int ended;
};

static void *stop_at(void *arg) {
    struct stopper *const s = arg;
    while (!__atomic_load_n(&s->ended, __ATOMIC_RELAXED) && *s->n < s->at)
        usleep(20);
    if (!__atomic_load_n(&s->ended, __ATOMIC_RELAXED))
        interrupt_raise();
    return NULL;
}

static bool answer(struct walk *w) {
    struct conversation *const c = &w->c;
    struct bise_error err = {0};
    enum finish finish;
    const size_t dropped = chat_dropped(c->chat);
    const bool stopped = draw(w, 4) == 0;
    struct stopper stopper = {.n = &c->answer.n, .at = 1 + draw(w, 30)};
    pthread_t id;
    c->answer.n = 0;
    c->max_tokens = draw(w, 40) == 0 && !w->settings.schema ? LONG : (int64_t)(1 + draw(w, 60));
    if (stopped && pthread_create(&id, NULL, stop_at, &stopper) != 0)
        die("thread", "cannot be started");
    const enum bise_status status = conversation_answer(c, &finish, &err);
    __atomic_store_n(&stopper.ended, 1, __ATOMIC_RELAXED);
    if (stopped)
        pthread_join(id, NULL);
    interrupt_clear();
    if (status == BISE_ERR_CONTEXT || status == BISE_ERR_INTERRUPTED)
        return true; /* the message was taken back */
    must(status, "answer", &err);
    if (finish == FINISH_ERROR)
        die("answer", "failed");
    /* Where turns were left out within the answer, its first ids were picked from another text. */
    if (chat_dropped(c->chat) != dropped || c->answer.n == 0)
        return true;
    /* Held: prompt and answer, but for the last id picked, which has not been run. */
    const size_t n_prompt = c->held.n - (c->answer.n - 1);
    if (finish == FINISH_STOP || finish == FINISH_INTERRUPTED || finish == FINISH_CONTEXT)
        return true; /* cut where the text was; the state is compared below */
    return same_answer(w, n_prompt);
}

static void send(struct walk *w) {
    static const char *const texts[] = {"Tell me a story.", "And then?", "Who was there?",
                                        ("The king, the dog and the little girl went to the park. "
                                         "They played all day until it was dark.")};
    char text[400];
    struct bise_error err = {0};
    snprintf(text, sizeof text, "%s %zu %s", texts[draw(w, 4)], draw(w, 1000),
             draw(w, 3) ? "" : texts[3]);
    must(chat_add(w->c.chat, CHAT_USER, text, strlen(text), &err), "message", &err);
}

static bool step(struct walk *w) {
    struct conversation *const c = &w->c;
    const size_t n_messages = chat_messages(c->chat), kind = draw(w, 10);
    if (kind < 5 || n_messages == 0) {
        snprintf(w->what, sizeof w->what, "sending");
        send(w);
        return answer(w);
    }
    switch (kind) {
    case 5:
    case 6:
        snprintf(w->what, sizeof w->what, "/undo");
        for (size_t i = 0, n = 1 + draw(w, 3); i < n && chat_messages(c->chat) >= 2; i++) {
            chat_pop(c->chat);
            chat_pop(c->chat);
        }
        send(w); /* the next token is looked at after going back */
        return answer(w);
    case 7:
        snprintf(w->what, sizeof w->what, "/regen");
        chat_pop(c->chat);
        bise_sampler_set_seed(c->sampler, bise_sampler_seed(c->sampler) + 1);
        session_store_keep_seed(&w->store);
        return answer(w);
    case 8:
        snprintf(w->what, sizeof w->what, "saving");
        return session_store_save(&w->store, true) == EXIT_DONE;
    default:
        snprintf(w->what, sizeof w->what, "being killed");
        const uint64_t seed = bise_sampler_seed(c->sampler);
        drop_all(w);
        open_all(w);
        if (bise_sampler_seed(w->c.sampler) != seed) {
            fail_walk(w, "another seed");
            return false;
        }
        return true;
    }
}

static struct settings draw_settings(struct walk *w) {
    static const int64_t windows[] = {16, 32, 48, 128, 0, 0};
    struct settings s = {.window = windows[draw(w, 6)], .n_ctx = 256};
    s.n_sinks = s.window == 0 && draw(w, 2) ? 16 : 0;
    s.n_ctx = (uint32_t)(160 + draw(w, 200));
    s.sampling = (struct bise_sampler_params){
        .temp = draw(w, 2) ? 0.8f : 0, .top_p = 0.95f, .seed = random_u64(&w->random) >> 12};
    if (draw(w, 2)) {
        s.sampling.repeat_penalty = 1.2f;
        s.sampling.frequency_penalty = 0.1f;
        s.sampling.repeat_last = 64;
    }
    s.lookup = draw(w, 2) ? 1 + draw(w, LOOKUP_MAX) : 0;
    s.schema = draw(w, 4) == 0 ? "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}" : NULL;
    return s;
}

static bool run_walk(struct walk *w, uint64_t seed) {
    char journal[700];
    random_seed(&w->random, seed);
    w->settings = draw_settings(w);
    open_all(w);
    bool good = true;
    for (int i = 0; i < N_STEPS && good; i++)
        good = step(w) && same_state(w);
    drop_all(w);
    unlink(w->path);
    snprintf(journal, sizeof journal, "%s.journal", w->path);
    unlink(journal);
    return good;
}

int main(int argc, char **argv) {
    const char *const tmp = getenv("TMPDIR"), *const emulator = getenv("EMULATOR");
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 6;
    static struct walk w;
    char text[80];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (emulator && emulator[0]) {
        printf("skipped walks: an emulator takes too long\n");
        return 0;
    }
    if (freopen("/dev/null", "w", stderr) == NULL) /* turns left out are told there */
        die("stderr", "cannot be closed");
    snprintf(w.path, sizeof w.path, "%s/walk-%ld", tmp ? tmp : "/tmp", (long)getpid());
    unsigned long n_good = 0;
    for (unsigned long i = 0; i < n; i++) {
        const bool good = run_walk(&w, seed + i);
        n_good += good;
        if (!good)
            printf("# walk %llu\n", (unsigned long long)(seed + i));
    }
    snprintf(text, sizeof text, "%lu of %lu from seed %llu", n_good, n, (unsigned long long)seed);
    result(n_good == n, "walks", text);
    return n_failed != 0;
}
