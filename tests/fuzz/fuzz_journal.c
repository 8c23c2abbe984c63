/* Any bytes as the records of a session's note or journal: as they are, and taken apart into
 * records whose checksums are right. What was read can be rendered, and told again as it was. */
#include "src/model/model.h"
#include "tools/chat/session_records.h"

#include <stdlib.h>
#include <string.h>

#define VOCAB 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bise_model *model; /* its tokenizer is the conversations' */

static struct chat *open_chat(enum chat_format format) {
    static const int32_t eos[] = {2};
    struct chat *chat;
    return chat_open(&chat, model->tokenizer, format, 1, eos, 1, NULL) == BISE_OK ? chat : NULL;
}

static void put_event(void *arg, enum chat_event event, const void *data, size_t len) {
    records_put(arg, event, data, len);
}

/* A conversation made of what this one tells must tell the same. */
static void check_told(const struct chat *chat, enum chat_format format) {
    struct records told = {.n = 0}, again = {.n = 0};
    struct session_history h;
    struct chat *const copy = open_chat(format);
    chat_tell(chat, put_event, &told);
    if (copy && !told.failed) {
        if (records_replay(&h, copy, VOCAB, told.data, told.n, "told", NULL) != BISE_OK ||
            h.good != told.n)
            abort();
        chat_tell(copy, put_event, &again);
        if (again.n != told.n || (told.n && memcmp(again.data, told.data, told.n) != 0))
            abort();
    }
    struct chat *none = copy;
    chat_close(&none);
    records_free(&told);
    records_free(&again);
}

static void replay(const uint8_t *data, size_t size, enum chat_format format) {
    struct session_identity identity;
    struct session_history h;
    struct bise_error err = {0};
    enum chat_format found;
    const int32_t *ids;
    size_t n;
    struct chat *chat = open_chat(format);
    if (!chat)
        return;
    (void)records_identity(data, size, &identity, &found);
    const enum bise_status status = records_replay(&h, chat, VOCAB, data, size, "fuzz", &err);
    if (h.good > size || (status != BISE_OK && err.detail[0] == 0) ||
        (h.n_held && (h.held < data || h.held + 4 * h.n_held > data + size)))
        abort();
    if (chat_ids(chat, &ids, &n, NULL) == BISE_OK) {
        (void)chat_drop_for(chat, n / 2);
        if (chat_messages_within(chat, n) > chat_messages(chat))
            abort();
    }
    check_told(chat, format);
    chat_close(&chat);
}

/* Kind, length and bytes follow each other: a record each. */
static void replay_mended(const uint8_t *data, size_t size, enum chat_format format) {
    struct records r = {.n = 0};
    for (size_t at = 0; at + 2 <= size;) {
        const size_t left = size - at - 2, len = data[at + 1] < left ? data[at + 1] : left;
        records_put(&r, data[at] % 24, data + at + 2, len);
        at += 2 + len;
    }
    if (!r.failed && r.n)
        replay(r.data, r.n, format);
    records_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    if (!model && bise_model_open(&model, "models/demo.bise", NULL, NULL) != BISE_OK)
        abort();
    const enum chat_format format = (enum chat_format)(CHAT_NONE + data[0] % 5);
    replay(data + 1, size - 1, format);
    replay_mended(data + 1, size - 1, format);
    return 0;
}
