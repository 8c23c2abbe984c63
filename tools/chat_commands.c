#include "chat_commands.h"

#include <string.h>

static enum command_result do_quit(struct conversation *c, const char *arg) {
    (void)c;
    (void)arg;
    return COMMAND_QUIT;
}

static enum command_result do_clear(struct conversation *c, const char *arg) {
    (void)arg;
    chat_clear(c->chat);
    fprintf(stderr, "a new conversation\n");
    return COMMAND_DONE;
}

static enum command_result do_undo(struct conversation *c, const char *arg) {
    (void)arg;
    if (!chat_messages(c->chat)) {
        fprintf(stderr, "there is nothing to take back\n");
        return COMMAND_DONE;
    }
    chat_pop(c->chat);
    chat_pop(c->chat);
    fprintf(stderr, "your last message and its answer are taken back\n");
    return COMMAND_DONE;
}

static enum command_result do_regen(struct conversation *c, const char *arg) {
    (void)arg;
    if (!chat_messages(c->chat)) {
        fprintf(stderr, "there is no answer yet\n");
        return COMMAND_DONE;
    }
    chat_pop(c->chat);
    return COMMAND_ANSWER;
}

static enum command_result do_system(struct conversation *c, const char *arg) {
    struct bise_error err = {0};
    const enum bise_status status = chat_set_system(c->chat, arg, strlen(arg), &err);
    if (status)
        report(status, &err);
    else
        fprintf(stderr, *arg ? "the system prompt is set\n" : "there is no system prompt now\n");
    return COMMAND_DONE;
}

static enum command_result do_stats(struct conversation *c, const char *arg) {
    (void)arg;
    engine_print_stats(c->engine, stderr);
    return COMMAND_DONE;
}

/* The conversation's ids; none, said on stderr, without memory. */
static size_t conversation_ids(struct conversation *c, const int32_t **ids) {
    struct bise_error err = {0};
    size_t n;
    const enum bise_status status = chat_ids(c->chat, ids, &n, &err);
    if (!status)
        return n;
    report(status, &err);
    return 0;
}

static enum command_result do_context(struct conversation *c, const char *arg) {
    const struct bise_plan *plan = bise_session_plan(c->engine->session);
    const int32_t *ids;
    const size_t n = conversation_ids(c, &ids);
    (void)arg;
    fprintf(stderr, "the conversation has %zu tokens; ", n);
    if (plan->window)
        fprintf(stderr, "each layer sees the last %u, so it may go on without end\n", plan->window);
    else
        fprintf(stderr, "the context holds %u\n", plan->n_ctx);
    return COMMAND_DONE;
}

static enum command_result do_tokens(struct conversation *c, const char *arg) {
    const int32_t *ids;
    const size_t n = conversation_ids(c, &ids);
    (void)arg;
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, i ? " %d" : "%d", ids[i]);
    fprintf(stderr, "\n");
    return COMMAND_DONE;
}

static enum command_result do_help(struct conversation *c, const char *arg);

static const struct {
    const char *name, *arg, *help;
    enum command_result (*run)(struct conversation *c, const char *arg);
} commands[] = {
    {"/help", "", "this list", do_help},
    {"/system", " TEXT", "set the system prompt; without TEXT: take it away", do_system},
    {"/undo", "", "take your last message and its answer back", do_undo},
    {"/regen", "", "answer the last message again", do_regen},
    {"/clear", "", "begin a new conversation", do_clear},
    {"/stats", "", "speed and memory", do_stats},
    {"/context", "", "how much of the context is used", do_context},
    {"/tokens", "", "the conversation as token ids", do_tokens},
    {"/quit", "", "leave (so does Ctrl-D)", do_quit},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static enum command_result do_help(struct conversation *c, const char *arg) {
    (void)c;
    (void)arg;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[32];
        snprintf(left, sizeof left, "%s%s", commands[i].name, commands[i].arg);
        fprintf(stderr, "  %-14s  %s\n", left, commands[i].help);
    }
    fprintf(stderr, "  Ctrl-C          stop an answer; at the prompt: leave\n"
                    "  //...           a message that begins with a slash\n");
    return COMMAND_DONE;
}

enum command_result chat_command(struct conversation *c, const char *line) {
    if (line[0] != '/' || line[1] == '/')
        return COMMAND_NONE;
    const size_t len = strcspn(line, " \t");
    const char *arg = line + len + strspn(line + len, " \t");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strlen(commands[i].name) == len && memcmp(commands[i].name, line, len) == 0)
            return commands[i].run(c, arg);
    fprintf(stderr,
            "there is no command %.*s; /help lists them, // begins a message with a slash\n",
            (int)(len < 40 ? len : 40), line);
    return COMMAND_DONE;
}
