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
#include <unistd.h>

struct moderate_options {
    struct runtime_options runtime;
    const char *file, *transcript, *format, *text;
    double threshold;
    bool json, quiet;
};

#define OWN_OPTIONS 6

static const char *const usage =
    "bise moderate [-m FILE] TEXT | -f FILE | --transcript FILE [options]\n"
    "exit status: 0 not moderated, 10 moderated";

static bool parse(struct moderate_options *o, int argc, char **argv, int *code) {
    const struct option_def mine[OWN_OPTIONS] = {
        {"-f|--file", OPT_STRING, &o->file, "FILE", "the text from a file, - for stdin", 0, 0},
        {"--transcript", OPT_STRING, &o->transcript, "FILE",
         "a conversation as JSON: [{\"role\": ..., \"content\": ...}, ...]", 0, 0},
        {"--chat-format", OPT_STRING, &o->format, "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: the model's)", 0, 0},
        {"--threshold", OPT_FLOAT, &o->threshold, "P",
         "moderate where all categories together have P (default: one is the likeliest)", 0, 1},
        {"--json", OPT_FLAG, &o->json, NULL, "probabilities of all categories, as JSON", 0, 0},
        {"-q|--quiet", OPT_FLAG, &o->quiet, NULL, "no facts on stderr", 0, 0},
    };
    struct option_def defs[RUNTIME_OPTIONS + OWN_OPTIONS];
    size_t n_positional;
    memcpy(defs, mine, sizeof mine);
    runtime_option_defs(&o->runtime, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage, &o->text, 1,
                       &n_positional, code))
        return false;
    if (!o->text + !o->file + !o->transcript != 2) {
        complain("expected one of TEXT, -f FILE and --transcript FILE");
        *code = EXIT_USAGE;
        return false;
    }
    return true;
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
    struct runtime runtime;
    struct moderation moderation;
    struct buffer out; /* JSON of the messages so far */
    size_t n;          /* messages judged */
    bool moderated;    /* one of them */
};

static int judge(struct work *w, enum chat_role role, const char *text, size_t len) {
    struct bise_error err = {0};
    struct verdict v;
    const enum bise_status status = moderation_judge(&w->moderation, role, text, len, &v, &err);
    if (status)
        return report(status, &err);
    const bool moderated = v.category != NOT_MODERATED;
    const char *who = role == CHAT_USER ? "user" : "assistant";
    w->moderated |= moderated;
    if (w->options->json) {
        buffer_text(&w->out, w->n ? ",\n  {" : "  {");
        if (w->options->transcript)
            buffer_print(&w->out, "\"role\": \"%s\", ", who);
        buffer_print(&w->out, "\"moderated\": %s, ", moderated ? "true" : "false");
        print_probabilities(&w->out, &v);
        buffer_text(&w->out, "}");
    } else if (w->options->transcript) {
        print("%zu %s: %s %.4f\n", w->n + 1, who, moderation_category(v.category), v.p[v.category]);
    } else {
        print("%s %.4f\n", moderation_category(v.category), v.p[v.category]);
    }
    w->n++;
    return interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

static int judge_messages(struct work *w, const struct json_value *messages) {
    int code = EXIT_DONE;
    for (const struct json_value *m = json_first(messages); m && !code;
         m = json_next(messages, m)) {
        const struct json_value *role = json_get(m, "role"), *content = json_get(m, "content");
        if (!content || content->kind != JSON_STRING ||
            !(json_is(role, "user") || json_is(role, "assistant") || json_is(role, "system"))) {
            return refuse(EXIT_INPUT,
                          "%s: message %zu: expected a role (user, assistant or system) and a "
                          "content that is a string",
                          w->options->transcript, w->n + 1);
        }
        if (!json_is(role, "system"))
            code = judge(w, json_is(role, "user") ? CHAT_USER : CHAT_ASSISTANT, content->string,
                         content->len);
    }
    return code;
}

static int judge_transcript(struct work *w, const char *text, size_t len) {
    struct json *json;
    struct bise_error err = {0};
    const enum bise_status status = json_parse(&json, text, len, w->options->transcript, &err);
    if (status)
        return report(status, &err);
    const struct json_value *messages = json_root(json);
    if (messages->kind == JSON_OBJECT)
        messages = json_get(messages, "messages");
    int code = EXIT_INPUT;
    if (messages && messages->kind == JSON_ARRAY)
        code = judge_messages(w, messages);
    else
        complain("%s: expected an array of messages, found %s", w->options->transcript,
                 json_describe(messages));
    json_close(&json);
    return code;
}

static int judge_all(struct work *w) {
    const struct moderate_options *o = w->options;
    const char *file = o->file ? o->file : o->transcript;
    char *from_file = NULL;
    size_t len = o->text ? strlen(o->text) : 0;
    int code = file ? read_text(file, &from_file, &len) : EXIT_DONE;
    if (!code && o->transcript)
        code = judge_transcript(w, from_file, len);
    else if (!code)
        code = judge(w, CHAT_USER, o->text ? o->text : from_file, len);
    free(from_file);
    if (code || !o->json)
        return code;
    if (w->out.failed) {
        return refuse(EXIT_MEMORY, "no memory for the result");
    }
    print("{\"moderated\": %s, \"messages\": [\n", w->moderated ? "true" : "false");
    fputs(w->out.bytes ? w->out.bytes : "", stdout); /* JSON already */
    puts("]}");
    return EXIT_DONE;
}

int cmd_moderate(int argc, char **argv) {
    struct moderate_options o = {.runtime = RUNTIME_DEFAULTS, .threshold = -1};
    struct work w = {.options = &o};
    enum chat_format format;
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    interrupt_catch();
    code = runtime_open(&w.runtime, &o.runtime);
    if (!code)
        code = console_format(&w.runtime, o.format, &format);
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
    return code;
}
