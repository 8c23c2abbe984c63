/*
 * A chat that people keep open: 1,000 turns (200 unless TEST_SIZE is full) with the demo model,
 * every message in a journal, the session saved now and then. Resident memory is fixed; no turn
 * reads more tokens than it adds, with a window or sinks; without, where the oldest turns are left
 * out, than half of the context.
 */
#include "src/os/mem.h"
#include "tests/golden/models.h"
#include "tests/size.h"
#include "tools/chat/session_store.h"

#include <fcntl.h>

#define MODEL "models/demo.bise"
#define N_CTX 256

static int n_turns;

struct counts {
    size_t most_read, all_read, all_added, n_ids;
    uint64_t before, after; /* resident memory after 100 turns and at the end */
};

static bool is_set(const char *variable) {
    const char *const value = getenv(variable);
    return value && value[0];
}

/* Ids that the turn has added to the conversation. */
static size_t added(struct conversation *c, size_t *n_before) {
    const int32_t *ids;
    size_t n;
    must(chat_ids(c->chat, &ids, &n, NULL), "ids", &(struct bise_error){.status = BISE_OK});
    const size_t gain = n > *n_before ? n - *n_before : 0;
    *n_before = n;
    return gain;
}

static void turn(struct conversation *c, int i) {
    struct bise_error err = {0};
    enum finish finish;
    char text[80];
    snprintf(text, sizeof text, "Tell me something about the number %d.", i);
    must(chat_add(c->chat, CHAT_USER, text, strlen(text), &err), "message", &err);
    must(conversation_answer(c, &finish, &err), "answer", &err);
}

static struct counts talk(struct conversation *c, struct session_store *store) {
    struct counts counts = {0};
    size_t n_before = 0;
    for (int i = 0; i < n_turns; i++) {
        const size_t read = c->runtime->n_prompt;
        turn(c, i);
        const size_t now = c->runtime->n_prompt - read;
        counts.all_read += now;
        counts.all_added += added(c, &n_before);
        counts.most_read = now > counts.most_read ? now : counts.most_read;
        if ((i + 1) % (n_turns / 4) == 0 && session_store_save(store, true) != EXIT_DONE)
            die("save", "failed");
        if (i == 99)
            counts.before = mem_resident();
    }
    counts.after = mem_resident();
    counts.n_ids = n_before;
    return counts;
}

static struct counts run(int64_t window, uint32_t n_sinks, const char *path) {
    struct runtime_options options = RUNTIME_DEFAULTS;
    struct runtime runtime;
    struct conversation c = {.runtime = NULL};
    struct session_store store;
    options.model = MODEL;
    options.window = window;
    options.n_ctx = N_CTX;
    options.n_sinks = n_sinks;
    options.threads = 1;
    if (runtime_open(&runtime, &options) != EXIT_DONE ||
        conversation_open(&c, &runtime, CHAT_V1) != EXIT_DONE)
        die("open", MODEL);
    const struct bise_sampler_params sampling = {.temp = 0.7f, .top_p = 0.9f, .seed = 1};
    must(bise_sampler_open(&c.sampler, runtime.info->vocab_size, &sampling, NULL), "sampler",
         &(struct bise_error){.status = BISE_OK});
    c.max_tokens = 24;
    c.overflow = OVERFLOW_DROP;
    c.out.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (session_store_open(&store, &c, CHAT_V1, path, false, false, true) != EXIT_DONE)
        die("session", path);
    const struct counts counts = talk(&c, &store);
    session_store_close(&store);
    close(c.out.fd);
    bise_sampler_close(&c.sampler);
    conversation_close(&c);
    runtime_close(&runtime);
    unlink(path);
    return counts;
}

/* What a conversation costs in memory is what was said: some bytes a token. */
static void check_memory(const char *name, const struct counts *c) {
    char text[120];
    if (is_set("SANITIZER")) {
        printf("skipped %s: resident memory: a sanitizer's grows\n", name);
        return;
    }
    const uint64_t grown = c->after > c->before ? c->after - c->before : 0;
    snprintf(text, sizeof text, "resident memory grew by %llu bytes over %d turns, %zu tokens",
             (unsigned long long)grown, n_turns - 100, c->all_added);
    result(grown < (1u << 20) + 16 * (uint64_t)c->all_added, name, text);
}

int main(void) {
    const char *const tmp = getenv("TMPDIR");
    char path[512], text[160];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (is_set("EMULATOR")) {
        printf("skipped turns: an emulator takes too long\n");
        return 0;
    }
    n_turns = test_full() && !is_set("SANITIZER") ? 1000 : 200;
    if (freopen("/dev/null", "w", stderr) == NULL) /* turns left out are told there */
        die("stderr", "cannot be closed");
    snprintf(path, sizeof path, "%s/turns-%ld", tmp ? tmp : "/tmp", (long)getpid());
    struct counts c = run(-1, 0, path);
    snprintf(text, sizeof text, "a turn reads %zu tokens at most, all %zu of %zu", c.most_read,
             c.all_read, c.all_added);
    result(c.most_read < 100 && c.all_read < c.all_added, "window", text);
    check_memory("window", &c);
    c = run(0, 0, path);
    snprintf(text, sizeof text, "a turn reads %zu tokens at most, all %zu of %zu; %zu are seen",
             c.most_read, c.all_read, c.all_added, c.n_ids);
    result(c.most_read < N_CTX / 2 + 100 && c.all_read < 2 * c.all_added && c.n_ids <= N_CTX,
           "no window", text);
    check_memory("no window", &c);
    c = run(0, 16, path);
    snprintf(text, sizeof text, "a turn reads %zu tokens at most, all %zu of %zu", c.most_read,
             c.all_read, c.all_added);
    result(c.most_read < 100 && c.all_read < c.all_added, "sinks", text);
    check_memory("sinks", &c);
    return n_failed != 0;
}
