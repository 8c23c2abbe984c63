/* bise serve: options, and what runs from the start to the end. */
#include "src/os/clock.h"
#include "src/os/thread.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/serve/sockets.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PORT 8080
#define MAX_LANES    64
#define N_SINKS      64
#define OWN_OPTIONS  18

static const char *const usage = "bise serve [MODEL] [options]";

static bool parse(struct serve_options *o, int argc, char **argv, int *code) {
    const struct option_def mine[OWN_OPTIONS] = {
        {"-b|--sequences", OPT_INT(&o->n_lanes, 1, MAX_LANES), "N",
         "conversations at once (default: 4, or what fits)"},
        {"--host", OPT_STRING(&o->host), "ADDRESS", "where to listen (default: 127.0.0.1)"},
        {"--port", OPT_INT(&o->port, 0, 65535), "N", "its port, 0 for any (default: 8080)"},
        {"--api-key-file", OPT_STRING(&o->key_file), "FILE",
         "keys, one a line; nobody else may read the file (BISE_API_KEY)"},
        {"--no-key", OPT_FLAG(&o->no_key), "let everybody who can reach the address ask"},
        {"--allow-origin", OPT_LIST(&o->allow_origins), "ORIGIN",
         "let pages of this origin ask, * for any"},
        {"--allow-host", OPT_LIST(&o->allow_hosts), "NAME",
         "answer by this name too, as behind a proxy"},
        {"--stall", OPT_INT(&o->stall_ms, 1, 600000), "MS",
         "how long answers may wait for another's prompt (default: 1000)"},
        {"--queue", OPT_INT(&o->queue, 0, 65536), "N", "answers that may wait (default: 64)"},
        {"--grace", OPT_INT(&o->grace, 0, 86400), "S",
         "how long answers may go on after SIGTERM (default: 30)"},
        {"--overflow", OPT_STRING(&o->overflow), "HOW",
         "a full context: stop, drop the oldest turns, or sink"},
        {"--chat-format", OPT_STRING(&o->format), "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: the model's)"},
        {"--moderate", OPT_FLAG(&o->moderate),
         "judge prompts and answers; nothing is shown before"},
        {"--threshold", OPT_FLOAT(&o->threshold, 0, 1), "P",
         "moderate where all categories together have P"},
        {"--log-json", OPT_FLAG(&o->log_json), "the log as JSON, one object a line"},
        {"--open", OPT_FLAG(&o->open), "open the page in the browser"},
        {"-q|--quiet", OPT_FLAG(&o->quiet), "no log"},
        {"--name", OPT_STRING(&o->name), "NAME",
         "the model's name (default: the one in its file, or the file's)"},
    };
    struct option_def defs[RUNTIME_OPTIONS + OWN_OPTIONS];
    const char *argument = NULL;
    runtime_option_defs(&o->runtime, defs);
    memcpy(defs + RUNTIME_OPTIONS, mine, sizeof mine);
    return options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage, &argument, 1,
                         code) &&
           runtime_argument(&o->runtime, argument, code);
}

/* ---- before anything is loaded ---- */

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static int check_keys(struct server *s) {
    const struct serve_options *o = s->options;
    s->access.hosts = o->allow_hosts;
    s->access.origins = o->allow_origins;
    if (o->no_key)
        return o->key_file ? refuse(EXIT_USAGE, "expected one of --api-key-file and --no-key")
                           : EXIT_DONE;
    const int code = access_read_keys(&s->access, o->key_file);
    if (code || s->access.n_keys || is_loopback(o->host))
        return code;
    return refuse(EXIT_USAGE,
                  "--host %s can be reached from elsewhere: expected --api-key-file FILE or "
                  "BISE_API_KEY, or --no-key to let everybody ask",
                  o->host);
}

static int check_overflow(struct server *s, struct serve_options *o) {
    static const char *const names[] = {"stop", "drop", "sink"};
    for (int i = 0; o->overflow && i < 3; i++)
        if (strcmp(o->overflow, names[i]) == 0) {
            s->request_facts.full = (enum full_context)i;
            s->request_facts.can_sink = i == FULL_SINK;
            o->runtime.n_sinks = i == FULL_SINK ? N_SINKS : 0;
            return EXIT_DONE;
        }
    return o->overflow ? refuse(EXIT_USAGE, "--overflow: expected stop, drop or sink, found \"%s\"",
                                o->overflow)
                       : EXIT_DONE;
}

/* ---- signals ---- */

static struct server *signalled;

/* The first signal lets answers end, the second cuts them. */
static void on_signal(int number) {
    const uint64_t one = 1;
    const int error = errno;
    (void)number;
    if (atomic_fetch_add(&signalled->stopping, 1) > 0)
        server_stop_step(signalled, 1);
    if (write(signalled->wake, &one, sizeof one) < 0)
        server_stop_step(signalled, 1);
    errno = error;
}

static void catch_signals(struct server *s) {
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    signalled = s;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* ---- the start ---- */

static void open_browser(const char *address) {
    extern char **environ;
    char name[] = "xdg-open", copy[160];
    char *const argv[] = {name, copy, NULL};
    const struct sigaction act = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    pid_t pid;
    sigaction(SIGCHLD, &act, NULL); /* nobody waits for its end */
    snprintf(copy, sizeof copy, "%s/", address);
    if (posix_spawnp(&pid, name, NULL, NULL, argv, environ) != 0)
        complain("no browser could be opened: go to %s", copy);
}

static void greet(const struct server *s, const char *address, double seconds) {
    const struct bise_plan *p = &s->plan;
    say("model    %s, %s, %s, %.1f s to load\n", s->name, s->info->weight_type, s->isa, seconds);
    say("memory   %.1f MB: weights %.1f, cache %.1f for %u conversation%s of %zu tokens, "
        "scratch %.1f\n",
        1e-6 * (double)p->total, 1e-6 * (double)p->weights, 1e-6 * (double)p->cache, s->n_lanes,
        s->n_lanes == 1 ? "" : "s", s->prompter.limit, 1e-6 * (double)p->scratch);
    if (s->options->runtime.verbose)
        say("weights  %s\n", s->info->memory);
    say("address  %s/\n", address);
    if (s->access.n_keys)
        say("keys     %zu\n", s->access.n_keys);
    else
        say("keys     none: everybody who can reach the address may ask\n");
}

static void *run_sockets(void *arg) {
    struct sockets *k = arg;
    sockets_run(k);
    atomic_store(&k->server->stopping, 2); /* what is left is cut */
    server_stop_step(k->server, 1);
    sockets_close(k);
    return NULL;
}

static int serve(struct server *s, struct sockets *k) {
    char address[128];
    const double start = seconds_now();
    sockets_address(k, address, sizeof address);
    struct thread *thread = thread_start(run_sockets, k);
    if (!thread)
        return refuse(EXIT_FAILED, "no thread can be started");
    int code = server_open(s);
    if (code) {
        code = atomic_load(&s->stopping) ? EXIT_DONE : code;
        atomic_store(&s->stopping, 2);
        server_wake(s);
    } else {
        greet(s, address, seconds_now() - start);
        atomic_store(&s->is_ready, true);
        if (s->options->open)
            open_browser(address);
    }
    thread_join(&thread);
    server_close(s);
    return code;
}

int cmd_serve(int argc, char **argv) {
    static struct server s;
    static struct sockets k;
    struct serve_options o = {.runtime = RUNTIME_DEFAULTS,
                              .threshold = -1,
                              .host = "127.0.0.1",
                              .port = DEFAULT_PORT,
                              .stall_ms = 1000,
                              .queue = 64,
                              .grace = 30};
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    server_keep_memory_flat();
    s = (struct server){.options = &o, .started = (int64_t)time(NULL), .wake = -1};
    code = check_overflow(&s, &o);
    if (!code)
        code = check_keys(&s);
    if (!code && (s.path = model_path(o.runtime.model, &code)) == NULL)
        return code;
    if (!code && (s.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        code = refuse(EXIT_FAILED, "%s", strerror(errno));
    if (!code) {
        catch_signals(&s);
        code = sockets_listen(&k, &s, o.host, (int)o.port);
    }
    if (!code)
        code = serve(&s, &k);
    access_close(&s.access);
    if (s.wake >= 0)
        close(s.wake);
    return code;
}
