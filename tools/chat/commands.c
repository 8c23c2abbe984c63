#include "tools/chat/commands.h"

#include "tools/chat/transcript.h"
#include "tools/common/guard.h"
#include "tools/common/nearest.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <stdlib.h>
#include <string.h>

static enum command_result failed(enum bise_status status, const struct bise_error *err) {
    report(status, err);
    return COMMAND_FAILED;
}

/* ---- the conversation ---- */

static enum command_result do_clear(struct console *t, const char *arg) {
    (void)arg;
    chat_clear(t->conversation.chat);
    say("a new conversation\n");
    return COMMAND_DONE;
}

static enum command_result do_undo(struct console *t, const char *arg) {
    (void)arg;
    if (!chat_messages(t->conversation.chat)) {
        say("there is nothing to take back\n");
        return COMMAND_DONE;
    }
    chat_pop(t->conversation.chat); /* the answer, where there is one */
    if (chat_messages(t->conversation.chat) % 2)
        chat_pop(t->conversation.chat);
    say("your last message and its answer are taken back\n");
    return COMMAND_DONE;
}

static enum command_result do_regen(struct console *t, const char *arg) {
    (void)arg;
    if (!chat_messages(t->conversation.chat)) {
        say("there is no answer yet\n");
        return COMMAND_DONE;
    }
    if (chat_messages(t->conversation.chat) % 2 == 0) {
        chat_pop(t->conversation.chat);
        console_next_seed(t);
    }
    return COMMAND_ANSWER;
}

static enum command_result do_system(struct console *t, const char *arg) {
    struct bise_error err = {0};
    const enum bise_status status = guard_set_system(t->conversation.chat, arg, &err);
    if (status)
        return failed(status, &err);
    say(*arg ? "the system prompt is set\n" : "there is no system prompt now\n");
    return COMMAND_DONE;
}

static enum command_result do_guard(struct console *t, const char *arg) {
    struct chat *chat = t->conversation.chat;
    const bool on = strcmp(arg, "on") == 0;
    struct bise_error err = {0};
    if (*arg && !on && strcmp(arg, "off") != 0) {
        say("expected /guard on or /guard off, found \"%s\"\n", arg);
        return COMMAND_FAILED;
    }
    const enum bise_status status = *arg ? guard_set(chat, on, &err) : BISE_OK;
    if (status)
        return failed(status, &err);
    say("the guard is %s\n", guard_is_on(chat) ? "on" : "off");
    return COMMAND_DONE;
}

/* The conversation's ids; none, said on stderr, without memory. */
static size_t conversation_ids(struct console *t, const int32_t **ids) {
    struct bise_error err = {0};
    size_t n;
    const enum bise_status status = chat_ids(t->conversation.chat, ids, &n, &err);
    if (!status)
        return n;
    report(status, &err);
    return 0;
}

static enum command_result do_stats(struct console *t, const char *arg) {
    const struct bise_plan *plan = bise_session_plan(t->runtime.session);
    const int32_t *ids; /* the cache may hold more, of what was taken back */
    const unsigned long long n = conversation_ids(t, &ids);
    (void)arg;
    runtime_print_stats(&t->runtime, stderr);
    if (plan->window)
        say("context: %llu tokens in the window of %u, %llu in all\n",
            n < plan->window ? n : plan->window, plan->window, n);
    else
        say("context: %llu of %u tokens\n", n, plan->n_ctx);
    speculation_print(&t->conversation.speculation, stderr);
    return COMMAND_DONE;
}

static enum command_result do_tokens(struct console *t, const char *arg) {
    const int32_t *ids;
    const size_t n = conversation_ids(t, &ids);
    (void)arg;
    for (size_t i = 0; i < n; i++)
        say(i ? " %d" : "%d", ids[i]);
    say("\n");
    return COMMAND_DONE;
}

/* Those that are for whoever reads the lines. */
static enum command_result do_quit(struct console *t, const char *arg) {
    (void)t, (void)arg;
    return COMMAND_QUIT;
}

static enum command_result do_multi(struct console *t, const char *arg) {
    (void)t, (void)arg;
    return COMMAND_MULTI;
}

static enum command_result do_edit(struct console *t, const char *arg) {
    (void)t, (void)arg;
    return COMMAND_EDIT;
}

/* ---- its file ---- */

/* Without a name: the session's own file. With one: a copy, which the chat goes on in if it had no
 * file before. */
static enum command_result do_save(struct console *t, const char *arg) {
    struct session_store *store = &t->store;
    const bool has_file = console_has_session(t);
    if (!*arg && !has_file) {
        say("there is no session file yet: /save FILE makes one\n");
        return COMMAND_FAILED;
    }
    if (!*arg || (has_file && strcmp(arg, store->path) == 0))
        return session_store_save(store, false) == EXIT_DONE ? COMMAND_DONE : COMMAND_FAILED;
    if (session_store_copy(&t->conversation, t->format, arg) != EXIT_DONE)
        return COMMAND_FAILED;
    if (has_file)
        return COMMAND_DONE;
    session_store_close(store); /* a kept chat ends here */
    t->keeps = false;
    if (session_store_adopt(store, &t->conversation, t->format, arg) != EXIT_DONE)
        return COMMAND_FAILED;
    say("the chat goes on there; it is saved again when you leave\n");
    return COMMAND_DONE;
}

static enum command_result do_load(struct console *t, const char *arg) {
    struct conversation *c = &t->conversation;
    if (!*arg) {
        say("/load needs the name of a session's file\n");
        return COMMAND_FAILED;
    }
    if (console_has_session(t) && strcmp(arg, t->store.path) == 0) {
        say("%s is the session of this chat\n", arg);
        return COMMAND_DONE;
    }
    if (!t->store.path && chat_messages(c->chat)) {
        say("what was said here is in no file: /save it first, or /clear it\n");
        return COMMAND_FAILED;
    }
    if (session_store_check(c, t->format, arg) != EXIT_DONE ||
        console_leave_session(t) != EXIT_DONE)
        return COMMAND_FAILED;
    t->keeps = false;
    conversation_clear(c);
    if (session_store_open(&t->store, c, t->format, arg, true, false, false) != EXIT_DONE) {
        conversation_clear(c);
        return COMMAND_FAILED;
    }
    console_take_seed(t);
    return chat_messages(c->chat) % 2 ? COMMAND_ANSWER : COMMAND_DONE;
}

static enum command_result do_export(struct console *t, const char *arg) {
    struct transcript transcript;
    if (!*arg) {
        say("/export needs a file that ends in .md, .json or .txt\n");
        return COMMAND_FAILED;
    }
    const int code = transcript_take(&transcript, t->runtime.model, t->format, t->conversation.chat)
                         ? transcript_export(&transcript, arg)
                         : report(BISE_ERR_MEMORY, NULL);
    transcript_free(&transcript);
    return code ? COMMAND_FAILED : COMMAND_DONE;
}

/* What has left the window's reach, or the context. */
static void tell_reach(const struct console *t, size_t n) {
    const struct bise_session *session = t->runtime.session;
    const struct bise_plan *plan = bise_session_plan(session);
    const uint64_t reach = bise_reach(session);
    char sinks[48] = "";
    if (plan->n_sinks)
        snprintf(sinks, sizeof sinks, "the first %u and ", plan->n_sinks);
    say("each of %u layers sees %sthe last %u, all together %sthe last %llu, so it may go on "
        "without end; ",
        t->runtime.info->n_layers, sinks, plan->window, sinks, (unsigned long long)reach);
    if (n <= reach + plan->n_sinks) {
        say("all of it is within reach\n");
        return;
    }
    const size_t beyond = n - (size_t)reach;
    if (plan->n_sinks) {
        say("those from %u to %zu have left it\n", plan->n_sinks, beyond - 1);
        return;
    }
    const size_t messages = chat_messages_within(t->conversation.chat, beyond);
    say("the first %zu, and so %zu whole message%s, have left it\n", beyond, messages,
        messages == 1 ? "" : "s");
}

static enum command_result do_context(struct console *t, const char *arg) {
    const struct bise_plan *plan = bise_session_plan(t->runtime.session);
    const size_t dropped = chat_dropped(t->conversation.chat);
    struct bise_error err = {0};
    const int32_t *ids;
    size_t n;
    (void)arg;
    const enum bise_status status = chat_ids(t->conversation.chat, &ids, &n, &err);
    if (status) {
        report(status, &err);
        return COMMAND_DONE;
    }
    if (dropped)
        say("%zu earlier messages are left out: the model no longer sees them\n", dropped);
    say("the conversation has %zu tokens; ", n);
    if (plan->window)
        tell_reach(t, n);
    else
        say("the context holds %u\n", plan->n_ctx);
    return COMMAND_DONE;
}

/* ---- /set ---- */

/* What may change in the middle of a conversation: an answer's length and numbers of sampling. */
static const char *const settings[] = {"temp",
                                       "top-k",
                                       "top-p",
                                       "min-p",
                                       "typical",
                                       "repeat-penalty",
                                       "frequency-penalty",
                                       "presence-penalty",
                                       "repeat-last-n",
                                       "seed",
                                       "n-predict"};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

/* The command line's definitions of the settings, in their order, to fill o and *n_predict. */
static void setting_defs(struct sampling_options *o, int64_t *n_predict, struct option_def *defs) {
    struct option_def all[SAMPLING_OPTIONS + 1];
    sampling_option_defs(o, all);
    all[SAMPLING_OPTIONS] = (struct option_def){"--n-predict", OPT_INT(n_predict, -1, 1e15), "N",
                                                "tokens an answer may have, -1: no limit"};
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char name[32];
        const int n = snprintf(name, sizeof name, "--%s", settings[i]);
        for (size_t j = 0; j <= SAMPLING_OPTIONS; j++)
            if (option_is(&all[j], name, (size_t)n))
                defs[i] = all[j];
    }
}

static void print_setting(const char *name, const struct option_def *d) {
    char value[32];
    if (d->kind == OPTION_INT)
        snprintf(value, sizeof value, "%lld", (long long)*(const int64_t *)d->out);
    else
        snprintf(value, sizeof value, "%g", *(const double *)d->out);
    say("  %-18s %-10s  %s\n", name, value, d->help);
}

/* A sampler of these options takes the place of the last. */
static int renew_sampler(struct console *t, struct sampling_options *o) {
    struct conversation *c = &t->conversation;
    struct bise_sampler *sampler;
    const int code = sampling_open(&sampler, o, t->runtime.info->vocab_size, true);
    if (code)
        return code;
    bise_sampler_close(&c->sampler);
    c->sampler = sampler;
    t->options.sampling = *o;
    session_store_keep_seed(&t->store);
    return EXIT_DONE;
}

/* "NAME VALUE" or "NAME=VALUE" or "NAME". */
static enum command_result do_set(struct console *t, const char *arg) {
    struct sampling_options changed = t->options.sampling;
    int64_t length = t->conversation.max_tokens;
    struct option_def defs[N_SETTINGS];
    const size_t len = strcspn(arg, " \t="), gap = strspn(arg + len, " \t=");
    const char *value = arg + len + gap;
    size_t i = 0;
    setting_defs(&changed, &length, defs);
    if (!*arg) {
        for (i = 0; i < N_SETTINGS; i++)
            print_setting(settings[i], &defs[i]);
        return COMMAND_DONE;
    }
    while (i < N_SETTINGS && (strlen(settings[i]) != len || memcmp(settings[i], arg, len) != 0))
        i++;
    if (i == N_SETTINGS) {
        say("there is no setting %.*s; /set lists them\n", (int)(len < 40 ? len : 40), arg);
        return COMMAND_FAILED;
    }
    if (*value) {
        const bool is_length = defs[i].out == &length;
        if (!option_set(&defs[i], settings[i], value) ||
            (!is_length && renew_sampler(t, &changed) != EXIT_DONE))
            return COMMAND_FAILED;
        if (is_length)
            t->options.n_predict = t->conversation.max_tokens = length;
    }
    print_setting(settings[i], &defs[i]);
    return COMMAND_DONE;
}

static void complete_setting(struct completion *c, const char *word) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        completion_offer(c, word, settings[i]);
}

/* ---- /read ---- */

/* The file's text waits for the next message. */
static enum command_result do_read(struct console *t, const char *arg) {
    char *text = NULL;
    size_t len;
    int32_t *ids = NULL;
    size_t n_ids;
    if (!*arg) {
        say(t->read.len ? "what was read is forgotten\n" : "/read needs a file\n");
        buffer_clear(&t->read);
        return COMMAND_DONE;
    }
    const bool taken = strcmp(arg, "-") != 0 && read_utf8(arg, &text, &len) == EXIT_DONE &&
                       runtime_tokenize(&t->runtime, text, len, false, &ids, &n_ids) == EXIT_DONE &&
                       console_fits(&t->runtime, text, len) == EXIT_DONE;
    if (taken)
        buffer_put(&t->read, text, len);
    free(ids);
    free(text);
    if (!taken)
        return COMMAND_FAILED;
    if (t->read.failed)
        return failed(BISE_ERR_MEMORY, NULL);
    say("%s: %zu bytes, %zu tokens; they go before your next message (an empty one sends them "
        "alone)\n",
        arg, len, n_ids);
    return COMMAND_DONE;
}

/* ---- /model ---- */

/* "FILE" or "FILE FORMAT"; names of files may have spaces in them. */
static enum command_result do_model(struct console *t, const char *arg) {
    const size_t n_messages = chat_messages(t->conversation.chat);
    const bool had_session = console_has_session(t);
    const char *format = strrchr(arg, ' ');
    if (!*arg) {
        runtime_print_plan(&t->runtime, stderr);
        return COMMAND_DONE;
    }
    if (format && chat_format_from_name(format + 1) == CHAT_FORMAT_COUNT)
        format = NULL;
    char *path = strndup(arg, format ? (size_t)(format - arg) : strlen(arg));
    if (!path)
        return failed(BISE_ERR_MEMORY, NULL);
    const enum switch_result result = console_switch(t, path, format ? format + 1 : NULL);
    free(path);
    if (result != SWITCH_DONE)
        return result == SWITCH_LOST ? COMMAND_BROKEN : COMMAND_FAILED;
    if (had_session)
        say("the session is saved and closed, as it belongs to the model before; "
            "/save FILE makes one of this model\n");
    if (n_messages)
        say("the conversation's %zu messages are kept as text, and read anew with your "
            "next one\n",
            n_messages);
    return COMMAND_DONE;
}

/* ---- all of them ---- */

static enum command_result do_help(struct console *t, const char *arg);

static const struct command {
    const char *name, *arg, *help;
    command_fn *run;
    complete_fn *complete; /* of the argument; NULL: nothing is known of it */
} commands[] = {
    {"/help", "", "this list", do_help, NULL},
    {"/system", "[TEXT]", "set the system prompt; without TEXT: take it away", do_system, NULL},
    {"/guard", "[on|off]", "the paper's system prompt against harm, in front of yours", do_guard,
     complete_on_off},
    {"/undo", "", "take your last message and its answer back", do_undo, NULL},
    {"/regen", "", "answer the last message again", do_regen, NULL},
    {"/save", "[FILE]", "save the session; with FILE: there", do_save, complete_file},
    {"/load", "FILE", "go on with the session in FILE", do_load, complete_file},
    {"/export", "FILE", "write the conversation as text: FILE.md, FILE.json or FILE.txt", do_export,
     complete_file},
    {"/edit", "", "write your next message in $EDITOR", do_edit, NULL},
    {"/read", "[FILE]", "put a file's text before your next message; without FILE: do not", do_read,
     complete_file},
    {"/model", "[FILE [FORMAT]]", "let another model go on; without FILE: tell which it is",
     do_model, complete_file},
    {"/set", "[NAME [VALUE]]", "show or change how tokens are picked: temp, top-p, seed, ...",
     do_set, complete_setting},
    {"/clear", "", "begin a new conversation", do_clear, NULL},
    {"/multi", "", "write a message of several lines; a line of three quotes ends it", do_multi,
     NULL},
    {"/stats", "", "speed, context and memory", do_stats, NULL},
    {"/context", "", "what of the conversation the model sees", do_context, NULL},
    {"/tokens", "", "the conversation as token ids", do_tokens, NULL},
    {"/quit", "", "leave (so does Ctrl-D)", do_quit, NULL},
};
#define N_COMMANDS  (sizeof commands / sizeof commands[0])
#define HELP_COLUMN 26

static enum command_result do_help(struct console *t, const char *arg) {
    (void)t, (void)arg;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arg);
        print_item(stderr, left, HELP_COLUMN, commands[i].help);
    }
    print_item(stderr, "//...", HELP_COLUMN, "a message that begins with a slash");
    print_item(stderr, "Ctrl-C", HELP_COLUMN, "stop an answer; twice at an empty prompt: leave");
    return COMMAND_DONE;
}

/* The command of this name (len bytes); NULL if there is none. */
static const struct command *find_command(const char *name, size_t len) {
    static const struct {
        const char *other, *name;
    } aliases[] = {{"/bye", "/quit"}, {"/exit", "/quit"}, {"/?", "/help"}};
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strlen(aliases[i].other) == len && memcmp(aliases[i].other, name, len) == 0)
            return find_command(aliases[i].name, strlen(aliases[i].name));
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strlen(commands[i].name) == len && memcmp(commands[i].name, name, len) == 0)
            return &commands[i];
    return NULL;
}

static void explain_unknown(const char *name, size_t len) {
    struct nearest near = {.word = name, .len = len};
    for (size_t i = 0; i < N_COMMANDS; i++)
        nearest_offer(&near, commands[i].name);
    const char *like = near.best;
    say("there is no command %.*s%s%s%s; /help lists them, // begins a message with a "
        "slash\n",
        (int)(len < 40 ? len : 40), name, like ? "; do you mean " : "", like ? like : "",
        like ? "?" : "");
}

enum command_result console_command(struct console *t, const char *line) {
    if (line[0] != '/' || line[1] == '/')
        return COMMAND_NONE;
    const size_t len = strcspn(line, " \t\n");
    const struct command *command = find_command(line, len);
    if (!command) {
        explain_unknown(line, len);
        return COMMAND_FAILED;
    }
    const char *arg = line + len + strspn(line + len, " \t\n");
    size_t n = strlen(arg);
    while (n && (arg[n - 1] == ' ' || arg[n - 1] == '\t'))
        n--;
    if (n && !command->arg[0]) {
        say("%s takes no argument\n", command->name);
        return COMMAND_FAILED;
    }
    const char *home = command->complete == complete_file ? getenv("HOME") : NULL;
    const bool tilde = home && n > 1 && arg[0] == '~' && arg[1] == '/';
    char *copy = NULL;
    if (asprintf(&copy, "%s%.*s", tilde ? home : "", (int)(n - tilde), arg + tilde) < 0)
        return failed(BISE_ERR_MEMORY, NULL);
    const enum command_result result = command->run(t, copy);
    free(copy);
    return result;
}

void console_complete(struct completion *c, const char *line, size_t *start) {
    const size_t len = strcspn(line, " \t\n");
    *start = 0;
    if (line[0] != '/')
        return;
    if (!line[len]) {
        for (size_t i = 0; i < N_COMMANDS; i++)
            completion_offer(c, line, commands[i].name);
        return;
    }
    const struct command *command = find_command(line, len);
    *start = len + strspn(line + len, " \t\n");
    if (command && command->complete)
        command->complete(c, line + *start);
}
