/* /model: another model goes on with the conversation. */
#include "src/base/bytes.h"
#include "src/model/model.h"
#include "tools/chat/console.h"

#include <stdlib.h>
#include <string.h>

/* A conversation as text: for each message a role (a byte: enum chat_event), a length (u64) and the
 * text. */
struct transcript {
    const struct console *console;
    struct buffer records;
};

static void put_record(struct transcript *t, enum chat_event event, const char *text, size_t len) {
    uint8_t head[9] = {(uint8_t)event};
    put_u64(head + 1, len);
    buffer_put(&t->records, (const char *)head, sizeof head);
    buffer_put(&t->records, text, len);
}

/* An answer's ids as the text that was shown. */
static void put_answer(struct transcript *t, const uint8_t *ids, size_t n) {
    const bool strip = t->console->format != CHAT_NONE;
    struct utf8_stream utf8 = {.n_tail = 0};
    struct buffer text = {.len = 0};
    for (size_t i = 0; i <= n; i++) {
        size_t len = 0;
        const char *piece =
            i < n ? bise_token_piece(t->console->runtime.model, (int32_t)get_u32(ids + 4 * i), &len)
                  : NULL;
        if (!buffer_reserve(&text, UTF8_STREAM_ROOM(len)))
            break;
        text.len += piece ? utf8_stream_put(&utf8, piece, len, text.bytes + text.len)
                          : utf8_stream_end(&utf8, text.bytes + text.len);
    }
    const size_t from = strip && text.len && text.bytes[0] == ' ';
    t->records.failed = t->records.failed || text.failed;
    put_record(t, CHAT_EV_TEXT, text.bytes + from, text.len - from);
    buffer_free(&text);
}

/* A chat_event_fn. */
static void write_down(void *arg, enum chat_event event, const void *data, size_t len) {
    struct transcript *t = arg;
    if (event == CHAT_EV_ANSWER)
        put_answer(t, data, len / 4);
    else if (event == CHAT_EV_SYSTEM || event == CHAT_EV_USER || event == CHAT_EV_TEXT)
        put_record(t, event, data, len);
}

/* Says it all again in a new conversation. */
static int tell_again(const struct transcript *t, struct chat *chat) {
    struct bise_error err = {0};
    enum bise_status status = BISE_OK;
    for (size_t at = 0; at < t->records.len && !status;) {
        const uint8_t *head = (const uint8_t *)t->records.bytes + at;
        const size_t len = (size_t)get_u64(head + 1);
        const char *text = (const char *)head + 9;
        if (head[0] == CHAT_EV_SYSTEM)
            status = chat_set_system(chat, text, len, &err);
        else
            status = chat_add(chat, head[0] == CHAT_EV_USER ? CHAT_USER : CHAT_ASSISTANT, text, len,
                              &err);
        at += 9 + len;
    }
    return status ? report(status, &err) : EXIT_DONE;
}

/* Whether the file can take over; looks at its header only. */
static bool could_take_over(const char *path, const char *format) {
    const struct bise_model_params params = {.no_tensors = true};
    struct runtime e = {.path = path};
    struct bise_error err = {0};
    enum chat_format unused;
    bool good = false;
    if (bise_model_open(&e.model, path, &params, &err) != BISE_OK) {
        report(BISE_ERR_FORMAT, &err);
        return false;
    }
    e.info = bise_model_info(e.model);
    if (!e.info->has_tokenizer)
        complain("%s: the model file has no tokenizer, so it cannot chat", path);
    else
        good = console_format(&e, format, &unused) == EXIT_DONE;
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
    return code ? code : tell_again(transcript, t->conversation.chat);
}

enum switch_result console_switch(struct console *t, const char *path, const char *format) {
    struct transcript transcript = {.console = t};
    enum switch_result result = SWITCH_REFUSED;
    char *copy = NULL, *old_path = NULL;
    if (!could_take_over(path, format))
        return result;
    chat_tell(t->conversation.chat, write_down, &transcript);
    if (transcript.records.failed || !(copy = strdup(path)) ||
        !(old_path = strdup(t->runtime.path))) {
        report(BISE_ERR_MEMORY, NULL);
        goto done;
    }
    if (console_leave_session(t) != EXIT_DONE)
        goto done;
    const char *old_format = chat_format_name(t->format);
    char **kept = &copy;
    result = SWITCH_DONE;
    if (take_over(t, &transcript, path, format) != EXIT_DONE) {
        fprintf(stderr, "going back to %s\n", old_path);
        kept = &old_path;
        result = take_over(t, &transcript, old_path, old_format) == EXIT_DONE ? SWITCH_REFUSED
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
    buffer_free(&transcript.records);
    return result;
}
