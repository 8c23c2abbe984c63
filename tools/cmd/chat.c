/* bise chat: a conversation, on a terminal or one message per line. */
#include "tools/chat/commands.h"
#include "tools/chat/input.h"
#include "tools/chat/jsonl.h"
#include "tools/chat/kept.h"
#include "tools/chat/moderation.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/edit/color.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAT_OPTIONS 18

static bool parse_options(struct chat_options *o, int argc, char **argv, int *code) {
    struct option_def defs[CHAT_OPTIONS + RUNTIME_OPTIONS + SAMPLING_OPTIONS] = {
        {"-p|--prompt", OPT_STRING(&o->prompt), "TEXT",
         "answer this one message, and end; a text that is piped in goes in front of it"},
        {"-f|--file", OPT_LIST(&o->files), "FILE",
         "the same with a file's text in front, - for stdin; may come again"},
        {"--chat-format", OPT_STRING(&o->format), "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: the model's)"},
        {"-sys|--system", OPT_STRING(&o->system), "TEXT", "system prompt"},
        {"--guard", OPT_FLAG(&o->guard), "the paper's system prompt against harm, in front"},
        {"--threshold", OPT_FLOAT(&o->threshold, 0, 1), "P",
         "with --moderate: where all categories together have P (default: one is likeliest)"},
        {"--moderate", OPT_FLAG(&o->moderate),
         "let the model judge messages and answers; what it moderates is not shown"},
        {"-n|--n-predict", OPT_INT(&o->n_predict, -1, 1e15), "N",
         "tokens an answer may have, -1: no limit (default: until the model ends it)"},
        {"--dump-tokens", OPT_FLAG(&o->dump_tokens), "token ids of every turn on stderr"},
        {"--color", OPT_STRING(&o->color), "WHEN", "auto, always or never (auto; NO_COLOR)"},
        {"--session", OPT_STRING(&o->session), "FILE",
         "go on with the conversation in FILE, or begin one there; saved on leaving; a NAME: among "
         "the chats that are kept"},
        {"--continue", OPT_FLAG(&o->go_on), "go on with the last chat"},
        {"--list", OPT_FLAG(&o->list), "show which chats are kept"},
        {"--no-save", OPT_FLAG(&o->no_save), "do not keep what is said at the terminal"},
        {"--no-history", OPT_FLAG(&o->no_history),
         "do not keep messages for the up arrow in later chats"},
        {"--overflow", OPT_STRING(&o->overflow), "HOW",
         "where a context without a window is full: drop the oldest turns, stop, or sink: keep the "
         "beginning and a window (default: ask)"},
        {"--jsonl", OPT_FLAG(&o->jsonl),
         "for programs: a JSON object a line in, {\"content\": ...}, and one out"},
        {"-q|--quiet", OPT_FLAG(&o->quiet), "no greeting"},
    };
    const char *argument = NULL;
    runtime_option_defs(&o->runtime, defs + CHAT_OPTIONS);
    sampling_option_defs(&o->sampling, defs + CHAT_OPTIONS + RUNTIME_OPTIONS);
    return options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                         "bise chat [MODEL] [options]", &argument, 1, code) &&
           runtime_argument(&o->runtime, argument, code);
}

/* A question's text may come by a pipe, or from a file: it is then read as -f - does. */
static bool has_piped_text(const struct chat_options *o) {
    struct stat st;
    return o->prompt && !o->files.n && !o->jsonl && fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

/* Says how an answer ended where that is not plain. */
static void explain_end(const struct conversation *c, enum finish finish) {
    const struct bise_plan *plan = bise_session_plan(c->runtime->session);
    if (c->out.last != '\n' && !c->out.failed && wait_output(STDOUT_FILENO) &&
        write(STDOUT_FILENO, "\n", 1) < 0)
        return;
    if (finish == FINISH_LENGTH)
        say_note("(stopped after %zu tokens)", c->answer.n);
    else if (finish == FINISH_INTERRUPTED)
        say_note("(stopped)");
    else if (finish == FINISH_CONTEXT)
        say_note(
            "(the context of %u tokens is full: the answer ends here. /clear begins anew, /undo "
            "takes "
            "the last turn back, -c N gives a longer context)",
            plan->n_ctx);
}

/* Why a message could not be answered. The message has been taken back. */
static void explain_failure(const struct conversation *c, enum bise_status status,
                            const struct bise_error *err) {
    const struct bise_plan *plan = bise_session_plan(c->runtime->session);
    if (status == BISE_ERR_INTERRUPTED)
        say_note("(stopped while reading; your message is taken back)");
    else if (status == BISE_ERR_CONTEXT)
        complain("with this message the conversation no longer fits into the context of %u "
                 "tokens, so it was not sent; nothing was cut. /clear begins anew, /undo takes the "
                 "last turn back, -c N gives a longer context",
                 plan->n_ctx);
    else
        report(status, err);
}

/* Answers the last message; returns an exit code, EXIT_DONE where the chat goes on. On a terminal a
 * refused message is no reason to leave; a script must not go on out of step. */
static int answer_last(struct console *t) {
    struct conversation *c = &t->conversation;
    struct bise_error err = {0};
    enum finish finish;
    const enum bise_status status = conversation_answer(c, &finish, &err);
    if (status) {
        explain_failure(c, status, &err);
        const bool leave = !t->attended || status == BISE_ERR_NONFINITE;
        interrupt_clear();
        return leave ? (int)exit_code_of(status) : EXIT_DONE;
    }
    const int code = console_judge_answer(t);
    explain_end(c, finish);
    interrupt_clear();
    if (code)
        return t->attended && code != EXIT_FAILED ? EXIT_DONE : code;
    if (finish == FINISH_CONTEXT && !t->attended)
        return EXIT_USAGE;
    if (finish == FINISH_OUTPUT)
        return output_exit_code();
    return finish == FINISH_ERROR ? EXIT_FAILED : EXIT_DONE;
}

/* Adds a message and answers it; returns an exit code. */
static int send_message(struct console *t, const char *text, size_t len) {
    struct bise_error err = {0};
    int code;
    if (!console_judge_message(t, text, len, &code)) {
        interrupt_clear();
        return t->attended ? EXIT_DONE : code;
    }
    if ((code = console_fits(&t->runtime, text, len)) != EXIT_DONE)
        return t->attended ? EXIT_DONE : code;
    const enum bise_status status = chat_add(t->conversation.chat, CHAT_USER, text, len, &err);
    if (!status)
        return answer_last(t);
    report(status, &err);
    return t->attended ? EXIT_DONE : (int)exit_code_of(status);
}

/* Adds a message, behind what /read has read, and answers it; returns an exit code. */
static int send_with_read(struct console *t, const char *text, size_t len) {
    struct buffer all = t->read;
    if (!all.len)
        return send_message(t, text, len);
    t->read = (struct buffer){.len = 0};
    if (len)
        buffer_text(&all, all.bytes[all.len - 1] == '\n' ? "\n" : "\n\n");
    buffer_put(&all, text, len);
    const int code =
        all.failed ? report(BISE_ERR_MEMORY, NULL) : send_message(t, all.bytes, all.len);
    buffer_free(&all);
    return code;
}

/* Words by which other programs are left. */
static bool sounds_like_leaving(const char *text) {
    static const char *const words[] = {"exit", "quit", "bye", "exit()", "quit()", ":q"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* A message that was not typed here, as far as lines go. */
static void show_lines(const char *text) {
    for (const char *end; *text; text = end + (*end == '\n')) {
        end = text + strcspn(text, "\n");
        say("> %.*s\n", (int)(end - text), text);
    }
}

/* What a message says is done; returns an exit code. *several: whether the next one is to have
 * several lines. */
static int obey_line(struct console *t, struct console_input *in, const char *text, size_t len,
                     bool *several, bool *leave) {
    if (t->attended && !*several && sounds_like_leaving(text)) {
        *leave = console_input_ask(in, "Leave the chat? y or n; /quit leaves at once") == 'y';
        return EXIT_DONE;
    }
    const enum command_result result = *several ? COMMAND_NONE : console_command(t, text);
    const size_t slash = !*several && text[0] == '/' && text[1] == '/';
    if (result == COMMAND_EDIT) {
        if (!console_input_edit(in, &text, &len))
            return EXIT_DONE;
        show_lines(text);
        return send_with_read(t, text, len);
    }
    *several = result == COMMAND_MULTI;
    *leave = result == COMMAND_QUIT;
    if (result == COMMAND_ANSWER)
        return answer_last(t);
    if (result == COMMAND_BROKEN)
        return EXIT_FAILED;
    if (result == COMMAND_FAILED)
        return t->attended ? EXIT_DONE : EXIT_FAILED;
    if (result == COMMAND_NONE && (len || t->read.len))
        return send_with_read(t, text + slash, len - slash);
    return EXIT_DONE;
}

/* Asks whoever sits at the terminal what is to be done with a full context. */
static enum overflow ask_overflow(void *arg, bool in_answer) {
    const char *const question =
        in_answer
            ? "The context is full. Leave the oldest turns out (d), or end the answer here (s)?"
            : "The context is full. Leave the oldest turns out (d), all before this message "
              "(n), or take the message back (s)?";
    for (;;) {
        switch (console_input_ask(arg, question)) {
        case 'd':
            return OVERFLOW_DROP;
        case 'n':
            if (!in_answer)
                return OVERFLOW_NEW;
            break;
        case 's':
        case 0:
            return OVERFLOW_STOP;
        }
    }
}

/* Ctrl-C at an empty prompt. One that comes just after an answer was meant for that; of others the
 * first only says what the second does. Whether the chat goes on. */
static bool stays(double answered, bool *warned) {
    if (*warned)
        return false;
    interrupt_clear();
    if (seconds_now() - answered < 1)
        return true;
    *warned = true;
    say_note("(again, or /quit, to leave)");
    return true;
}

static int chat_by_lines(struct console *t) {
    struct console_input in = {.on_terminal = false};
    const char *text;
    size_t len;
    int code = EXIT_DONE;
    bool leave = false, several = false, warned = false;
    enum editor_event event = EDITOR_MESSAGE;
    double answered = -1e9; /* when the answer ended, if one came last */
    interrupt_catch_all();
    console_input_open(&in, !t->options.no_history);
    t->conversation.ask_overflow = ask_overflow;
    t->conversation.ask_arg = &in;
    if (chat_messages(t->conversation.chat) % 2) {
        say_note("(your last message has no answer yet)");
        code = answer_last(t);
    }
    while (!code && !leave && !terminated()) {
        event = console_input_read(&in, several, &text, &len);
        if (event == EDITOR_INTERRUPT && t->attended && !terminated() && stays(answered, &warned)) {
            several = false;
            continue;
        }
        if (event != EDITOR_MESSAGE)
            break;
        warned = false;
        const size_t n_answered = t->runtime.n_answer;
        code = obey_line(t, &in, text, len, &several, &leave);
        answered = t->runtime.n_answer > n_answered ? seconds_now() : -1e9;
    }
    if (!code && event == EDITOR_END)
        code = console_input_status(&in);
    console_input_close(&in);
    t->conversation.overflow = OVERFLOW_STOP; /* there is nobody left to ask */
    t->conversation.ask_arg = NULL;
    return !code && (event == EDITOR_INTERRUPT || terminated()) ? EXIT_INTERRUPTED : code;
}

/* -p and -f: one message, one answer. */
static int answer_once(struct console *t) {
    const char *const prompt = t->options.prompt ? t->options.prompt : "";
    interrupt_catch_all();
    const int code = send_with_read(t, prompt, strlen(prompt));
    return !code && (interrupted() || terminated()) ? EXIT_INTERRUPTED : code;
}

int cmd_chat(int argc, char **argv) {
    struct console t = {.options = {.runtime = RUNTIME_DEFAULTS,
                                    .threshold = -1,
                                    .sampling = SAMPLING_DEFAULTS,
                                    .n_predict = CONSOLE_DEFAULT_LENGTH}};
    int code;
    if (!parse_options(&t.options, argc, argv, &code))
        return code;
    if (!color_choose(t.options.color))
        return EXIT_USAGE;
    if (t.options.jsonl && t.options.moderate)
        return refuse(EXIT_USAGE, "expected one of --jsonl and --moderate");
    if (has_piped_text(&t.options))
        t.options.files.items[t.options.files.n++] = "-";
    t.asked_once = t.options.prompt || t.options.files.n;
    if (t.options.jsonl && t.asked_once)
        return refuse(EXIT_USAGE, "expected one of --jsonl, and -p TEXT or -f FILE");
    t.attended = isatty(STDIN_FILENO) && !t.asked_once;
    t.options.quiet |= t.asked_once;
    if (t.options.list) {
        kept_list(stdout);
        return EXIT_DONE;
    }
    interrupt_catch();
    code = console_choose_session(&t);
    if (!code)
        code = console_look(&t);
    if (!code)
        code = console_open(&t);
    if (!code) {
        code = t.options.jsonl ? console_jsonl(&t)
               : t.asked_once  ? answer_once(&t)
                               : chat_by_lines(&t);
        const int saved = console_leave_session(&t);
        code = saved ? saved : code;
    }
    console_close(&t);
    return code;
}
