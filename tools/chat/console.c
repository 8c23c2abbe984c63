#include "tools/chat/console.h"

#include "src/os/file.h"
#include "tools/chat/kept.h"
#include "tools/chat/transcript.h"
#include "tools/common/guard.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"
#include "tools/common/write_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SINKS         512
#define CHAT_OVERHEAD     8   /* tokens that a chat format puts around a message, at least */
#define COMPLETION_LENGTH 256 /* of an answer where nothing tells a model to end it */

int console_format(const struct runtime *e, const char *asked, enum chat_format *format) {
    *format = chat_format_from_name(asked ? asked : e->info->chat_format);
    if (*format != CHAT_UNKNOWN && *format != CHAT_FORMAT_COUNT)
        return EXIT_DONE;
    if (asked)
        complain("--chat-format: expected v1, v3, chatml, zephyr, llama2 or none, "
                 "found \"%s\"",
                 asked);
    else
        complain("%s does not say which chat format the model was trained on. Its model card "
                 "does; give --chat-format v1 (Mistral Instruct v0.1, v0.2, Mixtral), v3 (v0.3), "
                 "chatml, zephyr, llama2, or none (a base model); bise set %s --chat-format NAME "
                 "puts it into the file",
                 e->path, e->path);
    return EXIT_USAGE;
}

/* Tokens that stay: BOS and the beginning of the format, and with them the system prompt, which has
 * no more tokens than bytes. */
static uint32_t sinks_for(const struct chat_options *o) {
    const size_t n =
        16 + (o->guard ? strlen(GUARD_PROMPT) : 0) + (o->system ? strlen(o->system) : 0);
    return n < MAX_SINKS ? (uint32_t)n : MAX_SINKS;
}

static bool choose_overflow(struct console *t) {
    static const char *const names[] = {"stop", "drop", "sink"};
    enum { SINK = 2 };
    static const enum overflow values[] = {OVERFLOW_STOP, OVERFLOW_DROP, OVERFLOW_STOP};
    const char *asked = t->options.overflow;
    t->conversation.overflow = t->attended ? OVERFLOW_ASK : OVERFLOW_STOP;
    if (!asked)
        return true;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (strcmp(asked, names[i]) == 0) {
            t->conversation.overflow = values[i];
            if (i == SINK)
                t->options.runtime.n_sinks = sinks_for(&t->options);
            return true;
        }
    return complain("--overflow: expected drop, stop or sink, found \"%s\"", asked);
}

static void print_greeting(const struct console *t) {
    runtime_print_plan(&t->runtime, stderr);
    if (model_is_demo(t->runtime.path))
        say("This is the demo model, a toy that knows nothing. A real one:\n"
            "  bise pull mistral-7b-instruct-v0.3 --quantize i4\n");
    if (t->format == CHAT_NONE)
        say("no chat format: a base model goes on with what you type\n");
    else
        say(t->attended ? "chat format %s; " : "chat format %s\n", chat_format_name(t->format));
    if (t->attended)
        say("Ctrl-C stops an answer, Ctrl-D leaves, /help lists commands\n");
}

static bool session_is_there(const char *path) {
    char journal[PATH_MAX];
    uint64_t size = 0;
    int fd;
    snprintf(journal, sizeof journal, "%s.journal", path);
    if (file_exists(path))
        return true;
    if (file_open(journal, &fd, &size, NULL) == BISE_OK)
        file_close(&fd);
    return size > 0; /* an empty one is what a kill has left of a chat that had not begun */
}

int console_open_model(struct console *t) {
    const struct chat_options *o = &t->options;
    struct conversation *c = &t->conversation;
    int code = runtime_open(&t->runtime, &o->runtime);
    if (!code)
        code = console_format(&t->runtime, o->format, &t->format);
    if (!code)
        code = conversation_open(c, &t->runtime, t->format);
    if (!code)
        code = sampling_stops(&o->sampling, &c->stop);
    if (!code)
        code = constraint_open(&c->constraint, &t->runtime, &o->sampling.constraint);
    if (!code)
        code = speculation_open(&c->speculation, &t->runtime, (size_t)o->sampling.lookup);
    if (code)
        return code;
    if (!o->quiet)
        print_greeting(t);
    const bool seed_kept = o->session && session_is_there(o->session); /* it says its own */
    code = sampling_open(&c->sampler, &t->options.sampling, t->runtime.info->vocab_size,
                         o->quiet || seed_kept);
    if (code)
        return code;
    c->max_tokens = o->n_predict;
    if (o->n_predict == CONSOLE_DEFAULT_LENGTH)
        c->max_tokens = t->format == CHAT_NONE ? COMPLETION_LENGTH : -1;
    c->dump_tokens = o->dump_tokens;
    c->out.hold = o->moderate ? &t->held_answer : NULL;
    if (!o->moderate)
        return EXIT_DONE;
    code = moderation_open(&t->moderation, &t->runtime, &o->runtime, t->format);
    t->moderation.threshold = o->threshold;
    return code;
}

void console_close_model(struct console *t) {
    moderation_close(&t->moderation);
    bise_sampler_close(&t->conversation.sampler);
    conversation_close(&t->conversation);
    runtime_close(&t->runtime);
}

/* The texts of -f, in t->read. */
static int read_files(struct console *t) {
    const struct option_list *files = &t->options.files;
    int code = EXIT_DONE;
    for (size_t i = 0; i < files->n && !code; i++) {
        char *text = NULL;
        size_t len = 0;
        code = read_utf8(files->items[i], &text, &len);
        if (t->read.len && !code)
            buffer_text(&t->read, t->read.bytes[t->read.len - 1] == '\n' ? "\n" : "\n\n");
        if (!code)
            buffer_put(&t->read, text, len);
        free(text);
    }
    return t->read.failed ? report(BISE_ERR_MEMORY, NULL) : code;
}

int console_fits(const struct runtime *e, const char *text, size_t len) {
    int32_t *ids = NULL;
    size_t n = 0;
    int code = runtime_tokenize(e, text, len, false, &ids, &n);
    free(ids);
    if (!code && !e->plan.window && !e->plan.n_sinks && n + CHAT_OVERHEAD > e->plan.n_ctx)
        code = refuse(EXIT_USAGE,
                      "the message has %zu tokens, the whole context holds %u (-c N for a longer "
                      "one): it was not sent, nothing was cut",
                      n, e->plan.n_ctx);
    return code;
}

/* The message of -p and -f. */
static int look_at_message(const struct console *t) {
    const char *const prompt = t->options.prompt ? t->options.prompt : "";
    if (!t->asked_once)
        return EXIT_DONE;
    if (!t->read.len && !prompt[0])
        return refuse(EXIT_USAGE, "the message is empty");
    const int code = console_fits(&t->runtime, prompt, strlen(prompt));
    return code ? code : console_fits(&t->runtime, t->read.bytes, t->read.len);
}

/* ---- sessions ------------------------------------------------------------------------------- */

bool console_has_session(const struct console *t) {
    return t->store.path && !t->keeps;
}

/* The model and chat format that the session was had with, where none is given. */
static bool remember_model(struct console *t) {
    struct chat_options *o = &t->options;
    char model[PATH_MAX], format[16];
    if (o->runtime.model || !kept_model(t->session_path, model, format))
        return true;
    free(t->model_path);
    o->runtime.model = t->model_path = strdup(model);
    if (!o->format)
        o->format = chat_format_name(chat_format_from_name(format));
    return o->runtime.model;
}

int console_choose_session(struct console *t) {
    struct chat_options *o = &t->options;
    char path[PATH_MAX];
    if (o->session && o->go_on)
        return refuse(EXIT_USAGE, "expected one of --continue and --session");
    if (o->go_on) {
        if (!kept_last(path))
            return refuse(EXIT_USAGE, "--continue: no chat is kept yet");
    } else if (!o->session) {
        t->keeps = t->attended && !o->no_save && !o->jsonl && kept_new(path);
    } else if (strchr(o->session, '/') || session_is_there(o->session) ||
               !kept_path(path, o->session)) {
        return EXIT_DONE;
    }
    if (!o->session && !o->go_on && !t->keeps)
        return EXIT_DONE;
    t->session_path = strdup(path);
    if (!t->session_path || !remember_model(t))
        return report(BISE_ERR_MEMORY, NULL);
    if (o->go_on)
        t->keeps = !file_exists(path); /* a session with a cache stays one */
    if (!t->keeps || o->go_on)
        o->session = t->session_path;
    return EXIT_DONE;
}

void console_keep(struct console *t) {
    char path[PATH_MAX];
    if (!t->session_path || session_is_there(t->session_path)) { /* another model's by now */
        free(t->session_path);
        t->session_path = kept_new(path) ? strdup(path) : NULL;
    }
    t->keeps =
        t->session_path && session_store_open(&t->store, &t->conversation, t->format,
                                              t->session_path, false, true, true) == EXIT_DONE;
    if (t->keeps)
        kept_note_model(t->session_path, t->runtime.path, chat_format_name(t->format));
    else
        complain("this chat is not kept");
}

/* ---- opening --------------------------------------------------------------------------------- */

int console_look(struct console *t) {
    struct chat_options *o = &t->options;
    int code = choose_overflow(t) ? read_files(t) : EXIT_USAGE;
    if (!code)
        code = runtime_look(&t->runtime, &o->runtime);
    if (!code)
        code = conversation_possible(&t->runtime);
    if (!code)
        code = console_format(&t->runtime, o->format, &t->format);
    if (!code)
        code = sampling_check(&o->sampling, &t->runtime);
    if (!code)
        code = look_at_message(t);
    t->conversation.runtime = &t->runtime;
    if (!code && o->session && session_is_there(o->session))
        code = session_store_check(&t->conversation, t->format, o->session);
    else if (!code && o->session)
        code = write_place(o->session);
    if (t->runtime.path) {
        char *const path = strdup(t->runtime.path);
        free(t->model_path);
        o->runtime.model = t->model_path = path;
    }
    runtime_close(&t->runtime);
    return code;
}

int console_open(struct console *t) {
    const struct chat_options *o = &t->options;
    struct conversation *c = &t->conversation;
    const bool seed_given = o->sampling.seed >= 0;
    struct bise_error err = {0};
    int code = console_open_model(t);
    if (!code && o->session)
        code =
            session_store_open(&t->store, c, t->format, o->session, o->go_on, seed_given, o->quiet);
    else if (!code && t->keeps)
        console_keep(t);
    if (code)
        return code;
    console_take_seed(t);
    if (o->session && o->session == t->session_path)
        kept_note_model(t->session_path, t->runtime.path, chat_format_name(t->format));
    c->reads_anew = o->session && t->keeps && chat_messages(c->chat) && !o->quiet;
    if (c->reads_anew)
        say("what was said is read anew with your next message\n");
    enum bise_status status = BISE_OK;
    if (o->system)
        status = guard_set_system(c->chat, o->system, &err);
    if (o->guard && !status)
        status = guard_set(c->chat, true, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

void console_take_seed(struct console *t) {
    t->options.sampling.seed = (int64_t)bise_sampler_seed(t->conversation.sampler);
}

void console_next_seed(struct console *t) {
    struct bise_sampler *const sampler = t->conversation.sampler;
    bise_sampler_set_seed(sampler, bise_sampler_seed(sampler) + 1);
    console_take_seed(t);
    session_store_keep_seed(&t->store);
    if (!t->options.quiet)
        say("seed %lld\n", (long long)t->options.sampling.seed);
}

int console_leave_session(struct console *t) {
    if (!t->store.path)
        return EXIT_DONE;
    if (t->keeps) { /* the journal is all there is of it */
        session_store_close(&t->store);
        if (t->session_path && !session_is_there(t->session_path))
            kept_forget_model(t->session_path);
        return EXIT_DONE;
    }
    const int code = session_store_changed(&t->store)
                         ? session_store_save(&t->store, t->options.quiet)
                         : EXIT_DONE;
    if (!code)
        session_store_close(&t->store);
    return code;
}

void console_close(struct console *t) {
    session_store_close(&t->store);
    console_close_model(t);
    buffer_free(&t->held_answer);
    buffer_free(&t->read);
    free(t->model_path);
    free(t->session_path);
}

/* ---- /model: another model goes on with the conversation ---- */

/* Says it all again in a new conversation. */
static int tell_again(const struct transcript *t, struct chat *chat) {
    struct bise_error err = {0};
    enum bise_status status = BISE_OK;
    enum chat_event event;
    const char *text;
    size_t at = 0, len;
    while (!status && transcript_next(t, &at, &event, &text, &len))
        status = event == CHAT_EV_SYSTEM
                     ? chat_set_system(chat, text, len, &err)
                     : chat_add(chat, event == CHAT_EV_USER ? CHAT_USER : CHAT_ASSISTANT, text, len,
                                &err);
    return status ? report(status, &err) : EXIT_DONE;
}

/* Whether the file can take over; looks at its header only. */
static bool could_take_over(const char *path, const char *format) {
    const struct bise_model_params params = {.no_tensors = true};
    struct runtime e = {.path = path};
    struct bise_error err = {0};
    enum chat_format unused;
    if (bise_model_open(&e.model, path, &params, &err) != BISE_OK) {
        report(BISE_ERR_FORMAT, &err);
        return false;
    }
    e.info = bise_model_info(e.model);
    const bool good =
        conversation_possible(&e) == EXIT_DONE && console_format(&e, format, &unused) == EXIT_DONE;
    bise_model_close(&e.model);
    return good;
}

/* Closes the model, opens path and tells it the conversation. */
static int take_over(struct console *t, const struct transcript *transcript, const char *path,
                     const char *format) {
    console_close_model(t);
    t->options.runtime.model = path;
    t->options.format = format;
    const int code = console_open_model(t);
    if (!code && t->keeps)
        console_keep(t);
    return code ? code : tell_again(transcript, t->conversation.chat);
}

/* Opens the old model again, and its session as it was left. */
static int go_back(struct console *t, const struct transcript *transcript, const char *path,
                   const char *format, const char *session) {
    say("going back to %s\n", path);
    if (!session)
        return take_over(t, transcript, path, format);
    console_close_model(t);
    t->options.runtime.model = path;
    t->options.format = format;
    const int code = console_open_model(t);
    if (code || session_store_open(&t->store, &t->conversation, t->format, session, false, false,
                                   true) == EXIT_DONE)
        return code;
    complain("%s is no longer kept: what is said from here on is lost on leaving", session);
    conversation_clear(&t->conversation);
    return tell_again(transcript, t->conversation.chat);
}

enum switch_result console_switch(struct console *t, const char *path, const char *format) {
    struct transcript transcript = {.strip = false};
    enum switch_result result = SWITCH_REFUSED;
    char *copy = NULL, *old_path = NULL, *session = NULL;
    int code;
    path = model_path(path, &code);
    if (!path || !could_take_over(path, format))
        return result;
    if (!transcript_take(&transcript, t->runtime.model, t->format, t->conversation.chat) ||
        !(copy = strdup(path)) || !(old_path = strdup(t->runtime.path))) {
        report(BISE_ERR_MEMORY, NULL);
        goto done;
    }
    if (t->store.path && !t->keeps && !(session = strdup(t->store.path))) {
        report(BISE_ERR_MEMORY, NULL);
        goto done;
    }
    if (console_leave_session(t) != EXIT_DONE)
        goto done;
    const char *old_format = chat_format_name(t->format);
    char **kept = &copy;
    result = SWITCH_DONE;
    if (take_over(t, &transcript, copy, format) != EXIT_DONE) {
        kept = &old_path;
        result = go_back(t, &transcript, old_path, old_format, session) == EXIT_DONE
                     ? SWITCH_REFUSED
                     : SWITCH_LOST;
    }
    free(t->model_path);
    t->model_path = *kept;
    t->options.runtime.model = t->runtime.path = *kept;
    t->options.format = chat_format_name(t->format);
    *kept = NULL;
done:
    free(copy);
    free(old_path);
    free(session);
    transcript_free(&transcript);
    return result;
}
