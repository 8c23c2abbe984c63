#include "tools/chat/settings.h"

#include "src/base/utf8.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <stdlib.h>
#include <string.h>

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
enum command_result do_set(struct console *t, const char *arg) {
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

void complete_setting(struct completion *c, const char *word) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        completion_offer(c, word, settings[i]);
}

/* ---- /read ---- */

/* The file's text waits for the next message. */
enum command_result do_read(struct console *t, const char *arg) {
    enum command_result result = COMMAND_FAILED;
    char *text = NULL;
    size_t len;
    int32_t *ids = NULL;
    size_t n_ids;
    if (!*arg) {
        say(t->read.len ? "what was read is forgotten\n" : "/read needs a file\n");
        buffer_clear(&t->read);
        return COMMAND_DONE;
    }
    if (strcmp(arg, "-") == 0 || read_text(arg, ANY_LENGTH, &text, &len) != EXIT_DONE)
        return result;
    const size_t invalid = utf8_invalid_at(text, len);
    if (invalid < len) {
        complain("%s: expected text in UTF-8, found byte 0x%02x at offset %zu", arg,
                 (unsigned)(unsigned char)text[invalid], invalid);
        goto done;
    }
    if (runtime_tokenize(&t->runtime, text, len, false, &ids, &n_ids) != EXIT_DONE ||
        console_fits(&t->runtime, text, len) != EXIT_DONE)
        goto done;
    buffer_put(&t->read, text, len);
    if (t->read.failed) {
        report(BISE_ERR_MEMORY, NULL);
        goto done;
    }
    say("%s: %zu bytes, %zu tokens; they go before your next message (an empty one sends them "
        "alone)\n",
        arg, len, n_ids);
    result = COMMAND_DONE;
done:
    free(ids);
    free(text);
    return result;
}

/* ---- /model ---- */

/* "FILE" or "FILE FORMAT"; names of files may have spaces in them. */
enum command_result do_model(struct console *t, const char *arg) {
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
    if (!path) {
        report(BISE_ERR_MEMORY, NULL);
        return COMMAND_FAILED;
    }
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
