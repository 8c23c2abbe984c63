/* bise moderate: classifies a text, or every message of a conversation. */
#include "src/base/json.h"
#include "tools/chat/console.h"
#include "tools/common/buffer.h"
#include "tools/common/moderation.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/common/read_text.h"

#include <stdlib.h>
#include <string.h>

struct moderate_options {
    struct runtime_options runtime;
    const char *file, *transcript, *format, *text;
    double threshold;
    bool json, quiet;
};

#define OWN_OPTIONS 6

static const char *const usage =
    "bise moderate [MODEL] TEXT | -f FILE | --transcript FILE [options]\n"
    "exit status: 0 not moderated, 10 moderated";

static bool parse(struct moderate_options *o, int argc, char **argv, int *code) {
    struct option_def defs[OWN_OPTIONS + RUNTIME_OPTIONS] = {
        {"-f|--file", OPT_STRING(&o->file), "FILE", "the text from a file, - for stdin"},
        {"--transcript", OPT_STRING(&o->transcript), "FILE",
         "a conversation as JSON: [{\"role\": ..., \"content\": ...}, ...]"},
        {"--chat-format", OPT_STRING(&o->format), "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: the model's)"},
        {"--threshold", OPT_FLOAT(&o->threshold, 0, 1), "P",
         "moderate where all categories together have P (default: one is the likeliest)"},
        {"--json", OPT_FLAG(&o->json), "probabilities of all categories, as JSON"},
        {"-q|--quiet", OPT_FLAG(&o->quiet), "no facts on stderr"},
    };
    const char *arguments[2] = {NULL, NULL}; /* a model, if need be, and the text */
    runtime_option_defs(&o->runtime, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage, arguments, 2, code))
        return false;
    const size_t n = (arguments[0] != NULL) + (arguments[1] != NULL);
    const bool has_text = n == 2 || (n == 1 && !o->file && !o->transcript);
    o->text = has_text ? arguments[n - 1] : NULL;
    if (!o->text + !o->file + !o->transcript == 2)
        return runtime_argument(&o->runtime, n > has_text ? arguments[0] : NULL, code);
    *code = refuse(EXIT_USAGE, "expected one of TEXT, -f FILE and --transcript FILE");
    return false;
}

static void print_probabilities(struct buffer *out, const struct verdict *v) {
    buffer_print(out, "\"category\": \"%s\", \"probabilities\": {",
                 moderation_category(v->category));
    for (int i = 0; i < N_CATEGORIES; i++)
        buffer_print(out, "%s\"%s\": %.6f", i ? ", " : "", moderation_category(i), v->p[i]);
    buffer_text(out, "}");
}

struct work {
    const struct moderate_options *options;
    char *from_file;
    const char *text; /* [len] */
    size_t len;
    struct json *json; /* of --transcript, and the array in it */
    const struct json_value *messages;
    struct runtime runtime;
    struct moderation moderation;
    struct buffer out; /* JSON of the messages so far */
    size_t n;          /* messages judged */
    bool moderated;    /* one of them */
};

/* ---- what is to be judged ------------------------------------------------------------------- */

static bool is_empty(const char *text, size_t len) {
    size_t at = 0;
    while (at < len && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    return at == len;
}

static bool is_message(const struct json_value *m) {
    const struct json_value *role = json_get(m, "role"), *content = json_get(m, "content");
    return content && content->kind == JSON_STRING &&
           (json_is(role, "user") || json_is(role, "assistant") || json_is(role, "system"));
}

static int read_transcript(struct work *w) {
    struct bise_error err = {0};
    const char *const name = w->options->transcript;
    const enum bise_status status = json_parse(&w->json, w->text, w->len, name, &err);
    size_t n = 0;
    if (status)
        return report(status, &err);
    w->messages = json_root(w->json);
    if (w->messages->kind == JSON_OBJECT)
        w->messages = json_get(w->messages, "messages");
    if (!w->messages || w->messages->kind != JSON_ARRAY)
        return refuse(EXIT_INPUT, "%s: expected an array of messages, found %s", name,
                      json_describe(w->messages));
    for (const struct json_value *m = json_first(w->messages); m; m = json_next(w->messages, m)) {
        n++;
        if (!is_message(m))
            return refuse(EXIT_INPUT,
                          "%s: message %zu: expected a role (user, assistant or system) and a "
                          "content that is a string",
                          name, n);
    }
    return EXIT_DONE;
}

/* Before a model is loaded for it. */
static int read_input(struct work *w) {
    const struct moderate_options *o = w->options;
    const char *const file = o->file ? o->file : o->transcript;
    w->len = o->text ? strlen(o->text) : 0;
    const int code = file ? read_text(file, ANY_LENGTH, &w->from_file, &w->len) : EXIT_DONE;
    w->text = o->text ? o->text : w->from_file;
    if (code)
        return code;
    if (o->transcript)
        return read_transcript(w);
    return is_empty(w->text, w->len) ? refuse(EXIT_USAGE, "the text is empty") : EXIT_DONE;
}

/* ---- judging --------------------------------------------------------------------------------- */

static int judge(struct work *w, enum chat_role role, const char *text, size_t len) {
    struct bise_error err = {0};
    struct verdict v = {.category = NOT_MODERATED};
    const bool empty = is_empty(text, len); /* nothing to ask about; only messages can be */
    const enum bise_status status =
        empty ? BISE_OK : moderation_judge(&w->moderation, role, text, len, &v, &err);
    if (status)
        return report(status, &err);
    const bool moderated = v.category != NOT_MODERATED;
    const char *who = role == CHAT_USER ? "user" : "assistant";
    w->moderated |= moderated;
    w->n++;
    if (w->options->json) {
        buffer_text(&w->out, w->n > 1 ? ",\n  {" : "  {");
        if (w->options->transcript)
            buffer_print(&w->out, "\"role\": \"%s\", ", who);
        buffer_print(&w->out, "\"moderated\": %s, ", moderated ? "true" : "false");
        if (empty)
            buffer_text(&w->out, "\"empty\": true");
        else
            print_probabilities(&w->out, &v);
        buffer_text(&w->out, "}");
    } else {
        if (w->options->transcript)
            print("%zu %s: ", w->n, who);
        if (empty)
            print("empty\n");
        else
            print("%s %.4f\n", moderation_category(v.category), v.p[v.category]);
    }
    return interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

static int judge_all(struct work *w) {
    int code = EXIT_DONE;
    if (!w->messages)
        code = judge(w, CHAT_USER, w->text, w->len);
    for (const struct json_value *m = w->messages ? json_first(w->messages) : NULL; m && !code;
         m = json_next(w->messages, m)) {
        const struct json_value *role = json_get(m, "role"), *content = json_get(m, "content");
        if (!json_is(role, "system"))
            code = judge(w, json_is(role, "user") ? CHAT_USER : CHAT_ASSISTANT, content->string,
                         content->len);
    }
    if (code || !w->options->json)
        return code;
    if (w->out.failed)
        return refuse(EXIT_MEMORY, "no memory for the result");
    print("{\"moderated\": %s, \"messages\": [\n", w->moderated ? "true" : "false");
    fputs(w->out.bytes ? w->out.bytes : "", stdout); /* JSON already */
    puts("]}");
    return EXIT_DONE;
}

/* What the header and the options decide is decided before weights are read. */
static int look_first(const struct moderate_options *o, enum chat_format *format) {
    struct runtime e;
    int code = runtime_look(&e, &o->runtime);
    if (!code)
        code = console_format(&e, o->format, format);
    runtime_close(&e);
    return code;
}

int cmd_moderate(int argc, char **argv) {
    struct moderate_options o = {.runtime = RUNTIME_DEFAULTS, .threshold = -1};
    struct work w = {.options = &o};
    enum chat_format format;
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    interrupt_catch();
    code = read_input(&w);
    if (!code)
        code = look_first(&o, &format);
    if (!code)
        code = runtime_open(&w.runtime, &o.runtime);
    if (!code)
        code = moderation_open(&w.moderation, &w.runtime, NULL, format);
    w.moderation.threshold = o.threshold;
    if (!code && !o.quiet)
        runtime_print_plan(&w.runtime, stderr);
    if (!code)
        code = judge_all(&w);
    if (!code && w.moderated)
        code = EXIT_MODERATED;
    moderation_close(&w.moderation);
    buffer_free(&w.out);
    runtime_close(&w.runtime);
    json_close(&w.json);
    free(w.from_file);
    return code;
}
