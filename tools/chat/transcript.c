#include "tools/chat/transcript.h"

#include "src/base/bytes.h"
#include "src/base/utf8.h"
#include "src/os/file.h"
#include "src/os/new_file.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <string.h>
#include <strings.h>

#define HEAD 9 /* of a record: the event, a byte; the length, u64 */

static void put_message(struct transcript *t, enum chat_event event, const char *text, size_t len) {
    uint8_t head[HEAD] = {(uint8_t)event};
    put_u64(head + 1, len);
    buffer_put(&t->records, (const char *)head, sizeof head);
    buffer_put(&t->records, text, len);
}

/* An answer's ids as the text that was shown. */
static void put_answer(struct transcript *t, const uint8_t *ids, size_t n) {
    struct utf8_stream utf8 = {.n_tail = 0};
    struct buffer text = {.len = 0};
    for (size_t i = 0; i <= n; i++) {
        size_t len = 0;
        const char *piece =
            i < n ? bise_token_piece(t->model, (int32_t)get_u32(ids + 4 * i), &len) : NULL;
        if (!buffer_reserve(&text, UTF8_STREAM_ROOM(len)))
            break;
        text.len += piece ? utf8_stream_put(&utf8, piece, len, text.bytes + text.len)
                          : utf8_stream_end(&utf8, text.bytes + text.len);
    }
    const size_t from = t->strip && text.len && text.bytes[0] == ' ';
    t->records.failed = t->records.failed || text.failed;
    put_message(t, CHAT_EV_TEXT, text.bytes + from, text.len - from);
    buffer_free(&text);
}

/* A chat_event_fn. */
static void take_event(void *arg, enum chat_event event, const void *data, size_t len) {
    struct transcript *t = arg;
    if (event == CHAT_EV_ANSWER)
        put_answer(t, data, len / 4);
    else if (event == CHAT_EV_SYSTEM || event == CHAT_EV_USER || event == CHAT_EV_TEXT)
        put_message(t, event, data, len);
}

bool transcript_take(struct transcript *t, const struct bise_model *model, enum chat_format format,
                     const struct chat *chat) {
    *t = (struct transcript){.model = model, .strip = format != CHAT_NONE};
    chat_tell(chat, take_event, t);
    return !t->records.failed;
}

void transcript_free(struct transcript *t) {
    buffer_free(&t->records);
}

bool transcript_next(const struct transcript *t, size_t *at, enum chat_event *event,
                     const char **text, size_t *len) {
    if (*at >= t->records.len)
        return false;
    const uint8_t *const head = (const uint8_t *)t->records.bytes + *at;
    *event = (enum chat_event)head[0];
    *len = (size_t)get_u64(head + 1);
    *text = (const char *)head + HEAD;
    *at += HEAD + *len;
    return true;
}

/* ---- files ---------------------------------------------------------------------------------- */

enum export_form { EXPORT_MD, EXPORT_JSON, EXPORT_TXT, EXPORT_FORMS };

static const char *role_of(enum chat_event event) {
    return event == CHAT_EV_SYSTEM ? "system" : event == CHAT_EV_USER ? "user" : "assistant";
}

static void write_message(struct buffer *out, enum export_form form, bool first,
                          enum chat_event event, const char *text, size_t len) {
    static const char *const headings[] = {
        [CHAT_EV_SYSTEM] = "System", [CHAT_EV_USER] = "You", [CHAT_EV_TEXT] = "Answer"};
    if (form == EXPORT_JSON) {
        buffer_print(out, "%s{\"role\": \"%s\", \"content\": ", first ? "" : ",\n ",
                     role_of(event));
        buffer_json(out, text, len);
        buffer_text(out, "}");
        return;
    }
    buffer_print(out, form == EXPORT_MD ? "%s## %s\n\n" : "%s%s:\n", first ? "" : "\n",
                 headings[event]);
    buffer_put(out, text, len);
    if (!len || text[len - 1] != '\n')
        buffer_text(out, "\n");
}

static int write_file(const char *path, const struct buffer *out) {
    struct bise_error err = {0};
    if (file_exists(path))
        return refuse(EXIT_USAGE, "%s exists: it is not written over", path);
    const enum bise_status status =
        new_file_whole(path, NEW_FILE_PRIVATE, out->bytes, out->len, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

int transcript_export(const struct transcript *t, const char *path) {
    static const char *const endings[EXPORT_FORMS] = {".md", ".json", ".txt"};
    const char *const ending = strrchr(path, '.');
    enum export_form form = EXPORT_MD;
    while (form < EXPORT_FORMS && (!ending || strcasecmp(ending, endings[form]) != 0))
        form++;
    if (form == EXPORT_FORMS)
        return refuse(EXIT_USAGE,
                      "/export: expected a file that ends in .md, .json or .txt, found "
                      "\"%s\"",
                      path);
    struct buffer out = {.len = 0};
    const char *text;
    enum chat_event event;
    size_t len, at = 0, n = 0;
    buffer_text(&out, form == EXPORT_JSON ? "[" : "");
    for (; transcript_next(t, &at, &event, &text, &len); n++)
        write_message(&out, form, !n, event, text, len);
    buffer_text(&out, form == EXPORT_JSON ? "]\n" : "");
    const int code = out.failed ? report(BISE_ERR_MEMORY, NULL) : write_file(path, &out);
    buffer_free(&out);
    if (!code)
        say("%s: %zu messages\n", path, n);
    return code;
}
