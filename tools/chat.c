/* bise chat: a conversation, one message per line. */
#include "chat_commands.h"
#include "conversation.h"
#include "progress.h"
#include "sampling.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chat_options {
    struct engine_options engine;
    struct sampling_options sampling;
    const char *format, *system;
    int64_t n_predict;
    bool dump_tokens, quiet;
};

#define CHAT_OPTIONS      5
#define DEFAULT_LENGTH    -2  /* until the model ends its answer */
#define COMPLETION_LENGTH 256 /* in place of it where nothing tells a model to end */

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

/* The format asked for, or the model's own; never a guess. */
static int choose_format(const struct chat_options *o, const struct engine *e,
                         enum chat_format *format) {
    *format = chat_format_from_name(o->format ? o->format : e->info->chat_format);
    if (*format != CHAT_UNKNOWN && *format != CHAT_FORMAT_COUNT)
        return EXIT_DONE;
    if (o->format)
        fprintf(stderr,
                "bise: --chat-format: expected v1, v3, chatml, zephyr, llama2 or none, "
                "found \"%s\"\n",
                o->format);
    else
        fprintf(stderr,
                "bise: %s does not say which chat format the model was trained on. Its model card "
                "does; give --chat-format v1 (Mistral Instruct v0.1, v0.2, Mixtral), v3 (v0.3), "
                "chatml, zephyr, llama2, or none (a base model)\n",
                e->path);
    return EXIT_USAGE;
}

static void greet(const struct engine *e, enum chat_format format) {
    engine_print_plan(e, stderr);
    if (format == CHAT_NONE)
        fprintf(stderr, "no chat format: a base model goes on with what you type\n");
    else
        fprintf(stderr, "chat format %s; ", chat_format_name(format));
    fprintf(stderr, "Ctrl-C stops an answer, Ctrl-D or /quit leaves, /help lists commands\n");
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

static int talk(struct conversation *c) {
    char *line = NULL;
    size_t cap = 0, len = 0;
    int code = EXIT_DONE;
    while (!code && read_message(&line, &cap, &len)) {
        const enum command_result result = chat_command(c, line);
        if (result == COMMAND_QUIT)
            break;
        if (result == COMMAND_DONE || !len)
            continue;
        struct bise_error err = {0};
        const size_t slash = line[0] == '/' && line[1] == '/';
        enum bise_status status = BISE_OK;
        if (result == COMMAND_NONE)
            status = chat_add(c->chat, CHAT_USER, line + slash, len - slash, &err);
        if (!status)
            code = answer(c);
        else if (report(status, &err) && !isatty(STDIN_FILENO))
            code = exit_code_of(status);
    }
    if (!code && interrupted())
        code = EXIT_INTERRUPTED;
    free(line);
    return code;
}

int cmd_chat(int argc, char **argv) {
    struct chat_options o = {
        .engine = ENGINE_DEFAULTS, .sampling = SAMPLING_DEFAULTS, .n_predict = DEFAULT_LENGTH};
    struct engine e = {.path = NULL};
    struct conversation c = {.engine = NULL};
    struct bise_error err = {0};
    enum chat_format format;
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    setvbuf(stdin, NULL, _IONBF, 0); /* what is not read yet is to be seen by input_or_interrupt */
    interrupt_catch();
    code = engine_open(&e, &o.engine);
    if (!code)
        code = choose_format(&o, &e, &format);
    if (!code)
        code = conversation_open(&c, &e, format);
    if (!code)
        code = sampling_stops(&o.sampling, &c.stop);
    if (!code)
        code = constraint_open(&c.constraint, &e, o.sampling.grammar, o.sampling.grammar_file);
    if (code)
        goto done;
    if (!o.quiet)
        greet(&e, format);
    code = sampling_open(&c.sampler, &o.sampling, e.info->vocab_size, o.quiet);
    if (code)
        goto done;
    c.max_tokens = o.n_predict;
    if (o.n_predict == DEFAULT_LENGTH)
        c.max_tokens = format == CHAT_NONE ? COMPLETION_LENGTH : -1;
    c.dump_tokens = o.dump_tokens;
    if (o.system) {
        const enum bise_status status = chat_set_system(c.chat, o.system, strlen(o.system), &err);
        if (status) {
            code = report(status, &err);
            goto done;
        }
    }
    code = talk(&c);
done:
    bise_sampler_close(&c.sampler);
    conversation_close(&c);
    engine_close(&e);
    return code;
}
