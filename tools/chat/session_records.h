/* What a session's note and journal say: which session this is, then what happened in it. */
#ifndef BISE_TOOLS_CHAT_SESSION_RECORDS_H
#define BISE_TOOLS_CHAT_SESSION_RECORDS_H

#include "src/base/records.h"
#include "src/text/chat.h"

/* Kinds of records beside enum chat_event. */
enum session_record {
    RECORD_IDENTITY = 16, /* u64 id, u64 generation, u64 hash of the model, then its name */
    RECORD_FORMAT,        /* the chat format's name */
    RECORD_HELD,          /* i32 []: ids the model's session holds */
    RECORD_RANDOM,        /* of bise 0.1: u64 [4], its random numbers, which are no more */
    RECORD_SEED           /* u64: of the answers that follow */
};

/* Which session: id is drawn once, generation counts its saves. */
struct session_identity {
    uint64_t id, generation, model_hash;
    char model_name[64]; /* for messages */
};

void records_put_identity(struct records *r, const struct session_identity *identity,
                          enum chat_format format);

/* The identity and format that records [n] begin with; false if they do not. */
bool records_identity(const uint8_t *data, size_t n, struct session_identity *identity,
                      enum chat_format *format);

struct session_history {
    const uint8_t *held; /* [n_held] i32, within the data; each below vocab */
    size_t n_held;
    uint64_t seed;
    bool has_seed;
    size_t good;      /* bytes of the data that are whole records */
    size_t n_records; /* applied to the conversation */
};

/* Applies records [n] to the conversation, up to the first that is not whole; data is not trusted.
 * name: of the file, for messages. Errors: FORMAT, UNSUPPORTED (a record of a later version),
 * MEMORY. */
enum bise_status records_replay(struct session_history *h, struct chat *chat, uint32_t vocab,
                                const uint8_t *data, size_t n, const char *name,
                                struct bise_error *err);

#endif
