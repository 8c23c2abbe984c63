#include "tools/chat/commands.h"

#include "tools/chat/session_commands.h"
#include "tools/chat/settings.h"
#include "tools/common/guard.h"
#include "tools/common/nearest.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>

static enum command_result do_quit(struct console *t, const char *arg) {
    (void)t;
    (void)arg;
    return COMMAND_QUIT;
}

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
    if (status) {
        report(status, &err);
        return COMMAND_FAILED;
    }
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
    if (status) {
        report(status, &err);
        return COMMAND_FAILED;
    }
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

static enum command_result do_multi(struct console *t, const char *arg) {
    (void)t;
    (void)arg;
    return COMMAND_MULTI;
}

static enum command_result do_edit(struct console *t, const char *arg) {
    (void)t;
    (void)arg;
    return COMMAND_EDIT;
}

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
    (void)t;
    (void)arg;
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
    if (asprintf(&copy, "%s%.*s", tilde ? home : "", (int)(n - tilde), arg + tilde) < 0) {
        report(BISE_ERR_MEMORY, NULL);
        return COMMAND_FAILED;
    }
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
