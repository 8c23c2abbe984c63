/* bise chat: a conversation, one message per line. */
#include "chat_commands.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAT_OPTIONS 5

static bool parse(struct chat_options *o, int argc, char **argv, int *code) {
    const struct option_def mine[CHAT_OPTIONS] = {
        {"--chat-format", OPT_STRING, &o->format, "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: the model's)", 0, 0},
        {"-sys|--system", OPT_STRING, &o->system, "TEXT", "system prompt", 0, 0},
        {"-n|--n-predict", OPT_INT, &o->n_predict, "N",
         "tokens an answer may have, -1: no limit (default: until the model ends it)", -1, 1e15},
        {"--dump-tokens", OPT_FLAG, &o->dump_tokens, NULL, "token ids of every turn on stderr", 0,
         0},
        {"-q|--quiet", OPT_FLAG, &o->quiet, NULL, "no greeting", 0, 0},
    };
    struct option_def defs[ENGINE_OPTIONS + CHAT_OPTIONS + SAMPLING_OPTIONS];
    size_t n_positional;
    engine_option_defs(&o->engine, defs);
    memcpy(defs + ENGINE_OPTIONS, mine, sizeof mine);
    sampling_option_defs(&o->sampling, defs + ENGINE_OPTIONS + CHAT_OPTIONS);
    return options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                         "bise chat [-m FILE] [options]", NULL, 0, &n_positional, code);
}

/* One line of standard input without its end, in *line. False at the end of input, or when Ctrl-C
 * came at the prompt. */
static bool read_message(char **line, size_t *cap, size_t *len) {
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "> ");
    const ssize_t n = input_or_interrupt(STDIN_FILENO) ? getline(line, cap, stdin) : -1;
    if (n < 0) {
        if (isatty(STDIN_FILENO))
            fprintf(stderr, "\n");
        return false;
    }
    *len = (size_t)n;
    if (*len && (*line)[*len - 1] == '\n')
        (*line)[--*len] = 0;
    if (*len && (*line)[*len - 1] == '\r')
        (*line)[--*len] = 0;
    return true;
}

/* Says how an answer ended where that is not plain. */
static void explain(const struct conversation *c, enum finish finish) {
    const struct bise_plan *plan = bise_session_plan(c->engine->session);
    if (c->out.last != '\n' && !c->out.failed && write(STDOUT_FILENO, "\n", 1) < 0)
        return;
    if (finish == FINISH_LENGTH)
        fprintf(stderr, "(stopped after %zu tokens)\n", c->answer.n);
    else if (finish == FINISH_INTERRUPTED)
        fprintf(stderr, "(stopped)\n");
    else if (finish == FINISH_CONTEXT)
        fprintf(stderr,
                "(the context of %u tokens is full: the answer ends here. /clear begins anew, "
                "/undo takes the last turn back, -c N gives a longer context)\n",
                plan->n_ctx);
}

/* Why a message could not be answered. The message has been taken back. */
static void explain_failure(const struct conversation *c, enum bise_status status,
                            const struct bise_error *err) {
    const struct bise_plan *plan = bise_session_plan(c->engine->session);
    if (status == BISE_ERR_INTERRUPTED)
        fprintf(stderr, "(stopped while reading; your message is taken back)\n");
    else if (status == BISE_ERR_CONTEXT)
        fprintf(stderr,
                "bise: with this message the conversation no longer fits into the context of %u "
                "tokens, so it was not sent; nothing was cut. /clear begins anew, /undo takes the "
                "last turn back, -c N gives a longer context\n",
                plan->n_ctx);
    else
        report(status, err);
}

/* Answers the last message; returns an exit code, EXIT_DONE where the chat goes on. On a terminal a
 * refused message is no reason to leave; a script must not go on out of step. */
static int answer(struct conversation *c) {
    struct bise_error err = {0};
    enum finish finish;
    const enum bise_status status = conversation_answer(c, &finish, &err);
    if (status) {
        explain_failure(c, status, &err);
        const bool leave = !isatty(STDIN_FILENO) || status == BISE_ERR_NONFINITE;
        interrupt_clear();
        return leave ? (int)exit_code_of(status) : EXIT_DONE;
    }
    explain(c, finish);
    interrupt_clear();
    return finish == FINISH_OUTPUT || finish == FINISH_ERROR ? EXIT_FAILED : EXIT_DONE;
}

/* Lines until one of three quotes, or the end of input, as one message in *text. False without
 * memory. */
static bool read_lines(char **text, size_t *n) {
    char *line = NULL;
    size_t cap = 0, len = 0;
    bool good = true;
    *n = 0;
    while (good && read_message(&line, &cap, &len) && strcmp(line, "\"\"\"") != 0) {
        char *grown = realloc(*text, *n + len + 2);
        good = grown != NULL;
        if (!good)
            break;
        *text = grown;
        if (*n)
            (*text)[(*n)++] = '\n';
        memcpy(*text + *n, line, len + 1);
        *n += len;
    }
    free(line);
    return good;
}

/* Adds a message and answers it; returns an exit code. */
static int send(struct talk *t, const char *text, size_t len) {
    struct bise_error err = {0};
    const enum bise_status status = chat_add(t->conversation.chat, CHAT_USER, text, len, &err);
    if (!status)
        return answer(&t->conversation);
    report(status, &err);
    return isatty(STDIN_FILENO) ? EXIT_DONE : (int)exit_code_of(status);
}

/* What a line says is done; returns an exit code. */
static int obey(struct talk *t, const char *line, size_t len, bool *leave) {
    const enum command_result result = chat_command(t, line);
    const size_t slash = line[0] == '/' && line[1] == '/';
    char *text = NULL;
    size_t n;
    int code = EXIT_DONE;
    *leave = result == COMMAND_QUIT;
    if (result == COMMAND_ANSWER)
        code = answer(&t->conversation);
    else if (result == COMMAND_NONE && len)
        code = send(t, line + slash, len - slash);
    else if (result == COMMAND_MULTI && !read_lines(&text, &n))
        code = report(BISE_ERR_MEMORY, NULL);
    else if (result == COMMAND_MULTI && n)
        code = send(t, text, n);
    free(text);
    return code;
}

static int converse(struct talk *t) {
    char *line = NULL;
    size_t cap = 0, len = 0;
    int code = EXIT_DONE;
    bool leave = false;
    while (!code && !leave && read_message(&line, &cap, &len))
        code = obey(t, line, len, &leave);
    if (!code && interrupted())
        code = EXIT_INTERRUPTED;
    free(line);
    return code;
}

int cmd_chat(int argc, char **argv) {
    struct talk t = {.options = {.engine = ENGINE_DEFAULTS,
                                 .sampling = SAMPLING_DEFAULTS,
                                 .n_predict = TALK_DEFAULT_LENGTH}};
    int code;
    if (!parse(&t.options, argc, argv, &code))
        return code;
    setvbuf(stdin, NULL, _IONBF, 0); /* what is not read yet is to be seen by input_or_interrupt */
    interrupt_catch();
    code = talk_open(&t);
    if (!code)
        code = converse(&t);
    talk_close(&t);
    return code;
}
