/* Reader of untrusted records; tests/fuzz/fuzz_journal.c feeds it. */
#include "tools/chat/session_records.h"

#include "src/base/bytes.h"

#include <string.h>

#define IDENTITY_BYTES 24

void records_put_identity(struct records *r, const struct session_identity *identity,
                          enum chat_format format) {
    uint8_t bytes[IDENTITY_BYTES + sizeof identity->model_name];
    const size_t name_len = strlen(identity->model_name);
    const char *const name = chat_format_name(format);
    put_u64(bytes, identity->id);
    put_u64(bytes + 8, identity->generation);
    put_u64(bytes + 16, identity->model_hash);
    memcpy(bytes + IDENTITY_BYTES, identity->model_name, name_len);
    records_put(r, RECORD_IDENTITY, bytes, IDENTITY_BYTES + name_len);
    records_put(r, RECORD_FORMAT, name, strlen(name));
}

static bool read_identity(const struct record *r, struct session_identity *identity) {
    if (r->kind != RECORD_IDENTITY || r->len < IDENTITY_BYTES)
        return false;
    *identity = (struct session_identity){.id = get_u64(r->data),
                                          .generation = get_u64(r->data + 8),
                                          .model_hash = get_u64(r->data + 16)};
    size_t n = r->len - IDENTITY_BYTES;
    if (n >= sizeof identity->model_name)
        n = sizeof identity->model_name - 1;
    for (size_t i = 0; i < n; i++) {
        const char c = (char)r->data[IDENTITY_BYTES + i];
        identity->model_name[i] = c;
        if (c < ' ' || c > '~')
            identity->model_name[i] = '?'; /* messages print it */
    }
    return true;
}

static bool read_format(const struct record *r, enum chat_format *format) {
    char name[16] = {0};
    if (r->kind != RECORD_FORMAT || r->len >= sizeof name)
        return false;
    if (r->len)
        memcpy(name, r->data, r->len);
    *format = chat_format_from_name(name);
    return *format != CHAT_UNKNOWN && *format != CHAT_FORMAT_COUNT;
}

bool records_identity(const uint8_t *data, size_t n, struct session_identity *identity,
                      enum chat_format *format) {
    struct record first, second;
    size_t at = 0;
    return records_next(&first, data, n, &at) && records_next(&second, data, n, &at) &&
           read_identity(&first, identity) && read_format(&second, format);
}

static enum bise_status read_held(struct session_history *h, const struct record *r, uint32_t vocab,
                                  const char *name, struct bise_error *err) {
    h->held = r->data;
    h->n_held = r->len / sizeof(int32_t);
    for (size_t i = 0; i < h->n_held; i++)
        if (get_u32(r->data + 4 * i) >= vocab)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: an id beyond the vocabulary of %u", name,
                             vocab);
    return BISE_OK;
}

static enum bise_status apply(struct session_history *h, struct chat *chat, uint32_t vocab,
                              const struct record *r, const char *name, struct bise_error *err) {
    switch (r->kind) {
    case RECORD_IDENTITY:
    case RECORD_FORMAT:
    case RECORD_RANDOM:
        return BISE_OK;
    case RECORD_HELD:
        return read_held(h, r, vocab, name, err);
    case RECORD_SEED:
        h->has_seed = r->len == sizeof h->seed;
        h->seed = h->has_seed ? get_u64(r->data) : 0;
        return BISE_OK;
    default:
        if (r->kind >= CHAT_EV_COUNT)
            return bise_fail(err, BISE_ERR_UNSUPPORTED,
                             "%s has a record of kind %u: it needs a later bise", name, r->kind);
        h->n_records++;
        return chat_apply(chat, r->kind, r->data, r->len, vocab, err);
    }
}

enum bise_status records_replay(struct session_history *h, struct chat *chat, uint32_t vocab,
                                const uint8_t *data, size_t n, const char *name,
                                struct bise_error *err) {
    struct record r;
    enum bise_status status = BISE_OK;
    *h = (struct session_history){.good = 0};
    while (status == BISE_OK && records_next(&r, data, n, &h->good))
        status = apply(h, chat, vocab, &r, name, err);
    return status;
}
