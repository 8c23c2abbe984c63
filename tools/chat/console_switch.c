/* /model: another model goes on with the conversation. */
#include "tools/chat/console.h"
#include "tools/chat/transcript.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>

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
