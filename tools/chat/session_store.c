#include "tools/chat/session_store.h"

#include "src/base/bytes.h"
#include "src/os/file.h"
#include "src/os/process.h"
#include "src/store/session_file.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long long ull; /* for %llu */

static struct session_identity new_identity(const struct bise_model *model) {
    struct session_identity identity = {.model_hash = session_model_hash(model),
                                        .id = process_random()};
    memcpy(identity.model_name, model->name, sizeof identity.model_name);
    return identity;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void put_event(void *arg, enum chat_event event, const void *data, size_t len) {
    records_put(arg, event, data, len);
}

/* Everything there is of a conversation into the file at path. */
static enum bise_status write_session(const struct conversation *c, enum chat_format format,
                                      const struct session_identity *identity, const char *path,
                                      struct bise_error *err) {
    struct records note = {.n = 0};
    records_put_identity(&note, identity, format);
    chat_tell(c->chat, put_event, &note);
    uint8_t seed[8];
    put_u64(seed, bise_sampler_seed(c->sampler));
    records_put(&note, RECORD_SEED, seed, sizeof seed);
    records_put(&note, RECORD_HELD, c->held.ids, c->held.n * sizeof *c->held.ids);
    const enum bise_status status =
        note.failed ? bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the conversation", path)
                    : bise_session_save(c->runtime->session, bise_sampler_seed(c->sampler),
                                        note.data, note.n, path, err);
    records_free(&note);
    return status;
}

static void say_unsaved(struct session_store *s, const char *detail) {
    struct bise_error err = {0};
    complain("the session could not be saved: %s", detail);
    if (journal_flush(&s->journal, &err) == BISE_OK)
        complain("nothing is lost: %s and %s are kept, and are read at the next start", s->path,
                 s->journal.path);
    else
        complain("nor could the journal: %s; what it does not hold is lost on leaving", err.detail);
}

int session_store_save(struct session_store *s, bool quiet) {
    struct bise_error err = {0};
    struct session_identity next = s->identity;
    next.generation++;
    enum bise_status status = write_session(s->conversation, s->format, &next, s->path, &err);
    if (status) {
        say_unsaved(s, err.detail);
        return exit_code_of(status);
    }
    s->identity = next;
    s->seed = bise_sampler_seed(s->conversation->sampler);
    records_free(&s->journal.pending);
    s->complained = false;
    status = journal_cut(&s->journal, 0, &err);
    if (status)
        return report(status, &err);
    if (!quiet)
        say("saved: %s\n", s->path);
    return EXIT_DONE;
}

/* Puts what says whose journal it is in front, and the seed, where that has changed. */
static void put_state(struct session_store *s) {
    struct records *pending = &s->journal.pending;
    const uint64_t seed = bise_sampler_seed(s->conversation->sampler);
    uint8_t bytes[8];
    const bool begins = s->journal.good == 0 && pending->n == 0;
    if (begins)
        records_put_identity(pending, &s->identity, s->format);
    if (!begins && seed == s->seed)
        return;
    put_u64(bytes, seed);
    records_put(pending, RECORD_SEED, bytes, sizeof bytes);
    s->seed = seed;
}

static void flush(struct session_store *s) {
    struct bise_error err = {0};
    const bool failed = journal_flush(&s->journal, &err) != BISE_OK;
    if (failed && !s->complained)
        complain("%s; the chat goes on, but what is said from here on would be lost in a "
                 "crash",
                 err.detail);
    s->complained = failed;
}

/* A change of the conversation goes into the journal before anything else happens. */
static void on_event(void *arg, enum chat_event event, const void *data, size_t len) {
    struct session_store *s = arg;
    put_state(s);
    records_put(&s->journal.pending, event, data, len);
    flush(s);
}

void session_store_keep_seed(struct session_store *s) {
    if (!s->path || s->seed == bise_sampler_seed(s->conversation->sampler))
        return;
    put_state(s);
    flush(s);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void keep_seed(struct session_store *s, const struct session_history *h) {
    if (h->has_seed)
        s->seed = h->seed;
    s->knows_seed = s->knows_seed || h->has_seed;
}

/* Loads the cache that belongs to the conversation read from the note. Where it cannot be used, the
 * reason is said and the conversation will be read in anew. */
static enum bise_status load_cache(struct session_store *s, struct bise_error *err) {
    struct conversation *c = s->conversation;
    struct bise_session *session = c->runtime->session;
    enum bise_status status = bise_session_load(session, NULL, s->path, err);
    if (status == BISE_OK && bise_position(session) != c->held.n)
        status = bise_fail(err, BISE_ERR_FORMAT, "%s: its cache is of other tokens", s->path);
    if (status == BISE_OK)
        return BISE_OK;
    if (status != BISE_ERR_ARG && status != BISE_ERR_CONTEXT && status != BISE_ERR_FORMAT)
        return status;
    complain("%s; the conversation itself is whole and is read in anew", err->detail);
    bise_reset(session);
    c->held.n = 0;
    return BISE_OK;
}

static enum bise_status check_format(const char *path, enum chat_format found,
                                     enum chat_format format, struct bise_error *err) {
    return found == format ? BISE_OK
                           : bise_fail(err, BISE_ERR_ARG,
                                       "%s was begun with --chat-format %s, this chat has %s", path,
                                       chat_format_name(found), chat_format_name(format));
}

/* The file's note: identity and format, which must be this chat's. The caller's: *note. */
static enum bise_status read_note(const struct conversation *c, enum chat_format format,
                                  const char *path, struct session_identity *identity,
                                  uint8_t **note, size_t *n, struct bise_error *err) {
    enum chat_format found;
    void *data;
    const enum bise_status status = bise_session_note(c->runtime->model, path, &data, n, err);
    *note = data;
    if (status)
        return status;
    if (!records_identity(data, *n, identity, &found))
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s is a session, but not one of bise chat",
                         path);
    return check_format(path, found, format, err);
}

static enum bise_status load_file(struct session_store *s, struct bise_error *err) {
    struct conversation *c = s->conversation;
    struct session_history h;
    uint8_t *note = NULL;
    size_t n = 0;
    enum bise_status status = read_note(c, s->format, s->path, &s->identity, &note, &n, err);
    if (!status)
        status = records_replay(&h, c->chat, c->runtime->info->vocab_size, note, n, s->path, err);
    if (!status && h.good != n)
        status = bise_fail(err, BISE_ERR_FORMAT, "%s: a record of its note is damaged", s->path);
    if (!status)
        keep_seed(s, &h);
    if (!status && !conversation_set_held(c, h.held, h.n_held))
        status = bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
    free(note);
    return status ? status : load_cache(s, err);
}

/* Whether the journal goes on from the file (or from nothing): *stale where the file holds all of
 * it already. */
static enum bise_status match_journal(const struct session_store *s, bool has_file,
                                      const struct session_identity *found, bool *stale,
                                      struct bise_error *err) {
    const struct session_identity *mine = &s->identity;
    const char *const path = s->journal.path;
    *stale = has_file && found->id == mine->id && found->generation < mine->generation;
    if (found->model_hash != session_model_hash(s->conversation->runtime->model) &&
        found->model_hash != session_model_hash_1(s->conversation->runtime->model))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s belongs to another model: expected %s, found %s", path,
                         mine->model_name, found->model_name);
    if (!has_file && found->generation > 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s goes on from %s, which is not there; move the journal away to begin "
                         "anew",
                         path, s->path);
    if (has_file && found->id != mine->id)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s belongs to another session than %s; move one of them away", path,
                         s->path);
    if (has_file && found->generation > mine->generation)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s goes on from a later %s (save %llu, found %llu); move the journal "
                         "away to do without what it holds",
                         path, s->path, (ull)found->generation, (ull)mine->generation);
    return BISE_OK;
}

/* Reads the journal's records [n] over what the file gave; *good: bytes to keep. */
static enum bise_status replay(struct session_store *s, const uint8_t *data, size_t n,
                               bool has_file, uint64_t *good, struct bise_error *err) {
    struct conversation *c = s->conversation;
    struct session_identity found;
    struct session_history h;
    enum chat_format format;
    bool stale;
    *good = 0;
    if (!records_identity(data, n, &found, &format)) {
        if (n > 0) /* else a chat was killed before its first */
            complain("%s holds no whole record", s->journal.path);
        return BISE_OK;
    }
    enum bise_status status = match_journal(s, has_file, &found, &stale, err);
    if (status || stale)
        return status;
    status = check_format(s->journal.path, format, s->format, err);
    s->identity = found;
    if (!status)
        status = records_replay(&h, c->chat, c->runtime->info->vocab_size, data, n, s->journal.path,
                                err);
    if (status)
        return status;
    keep_seed(s, &h);
    if (h.good < n)
        complain("the last %zu bytes of %s are not whole and were left out", n - h.good,
                 s->journal.path);
    *good = sizeof JOURNAL_MAGIC - 1 + h.good;
    return BISE_OK;
}

static enum bise_status load_journal(struct session_store *s, bool has_file,
                                     struct bise_error *err) {
    const size_t magic = sizeof JOURNAL_MAGIC - 1;
    uint8_t *data = NULL;
    size_t n;
    uint64_t good = 0;
    enum bise_status status = journal_read(&s->journal, &data, &n, err);
    if (!status && n > 0)
        status = replay(s, data + (n < magic ? n : magic), n < magic ? 0 : n - magic, has_file,
                        &good, err);
    if (!status && good != n)
        status = journal_cut(&s->journal, good, err);
    free(data);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------- */

static enum bise_status begin(struct session_store *s, bool must_exist, bool seed_given,
                              struct bise_error *err) {
    struct conversation *c = s->conversation;
    const bool has_file = file_exists(s->path);
    s->identity = new_identity(c->runtime->model);
    s->seed = bise_sampler_seed(c->sampler);
    enum bise_status status = BISE_OK;
    if (has_file)
        status = load_file(s, err);
    if (!status)
        status = load_journal(s, has_file, err);
    if (!status && must_exist && !has_file && s->journal.good == 0)
        status = bise_fail(err, BISE_ERR_IO, "%s: there is no such session", s->path);
    s->identity.model_hash = session_model_hash(c->runtime->model); /* bise 0.1 had another */
    if (!status && !seed_given)
        bise_sampler_set_seed(c->sampler, s->seed);
    return status;
}

static void tell(const struct session_store *s) {
    const struct conversation *c = s->conversation;
    const size_t n = chat_messages(c->chat);
    if (n)
        say("%s: going on after %zu message%s, with seed %llu%s\n", s->path, n, n == 1 ? "" : "s",
            (ull)bise_sampler_seed(c->sampler), s->knows_seed ? "" : " (new: bise 0.1 kept none)");
    else
        say("%s: a new session\n", s->path);
}

/* Holds the journal of this path. */
static enum bise_status hold(struct session_store *s, struct conversation *c,
                             enum chat_format format, const char *path, struct bise_error *err) {
    *s = (struct session_store){.journal = {.fd = -1}, .conversation = c, .format = format};
    s->path = strdup(path);
    return s->path ? journal_open(&s->journal, path, err)
                   : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", path);
}

/* Watches the conversation; where opening failed, closes s. */
static int opened(struct session_store *s, enum bise_status status, const struct bise_error *err) {
    if (!status) {
        chat_watch(s->conversation->chat, on_event, s);
        return EXIT_DONE;
    }
    const int code = report(status, err);
    session_store_close(s);
    return code;
}

int session_store_open(struct session_store *s, struct conversation *c, enum chat_format format,
                       const char *path, bool must_exist, bool seed_given, bool quiet) {
    struct bise_error err = {0};
    enum bise_status status = hold(s, c, format, path, &err);
    if (!status)
        status = begin(s, must_exist, seed_given, &err);
    if (!status && !quiet)
        tell(s);
    if (!status && s->journal.unlocked)
        say("bise: %s: this file system has no locks: no other chat may go on with the session "
            "meanwhile\n",
            s->path);
    return opened(s, status, &err);
}

bool session_store_changed(const struct session_store *s) {
    return s->journal.good > 0 || s->journal.pending.n > 0 || s->journal.pending.failed;
}

int session_store_adopt(struct session_store *s, struct conversation *c, enum chat_format format,
                        const char *path) {
    struct bise_error err = {0};
    enum chat_format found;
    void *note = NULL;
    size_t n = 0;
    enum bise_status status = hold(s, c, format, path, &err);
    if (!status)
        status = bise_session_note(c->runtime->model, path, &note, &n, &err);
    if (!status && !records_identity(note, n, &s->identity, &found))
        status = bise_fail(&err, BISE_ERR_FORMAT, "%s: another file has taken its place", path);
    free(note);
    return opened(s, status, &err);
}

void session_store_close(struct session_store *s) {
    if (!s->path)
        return;
    if (s->conversation->chat)
        chat_watch(s->conversation->chat, NULL, NULL);
    journal_close(&s->journal);
    free(s->path);
    *s = (struct session_store){.journal = {.fd = -1}};
}

int session_store_check(const struct conversation *c, enum chat_format format, const char *path) {
    struct bise_error err = {0};
    struct session_identity identity;
    struct journal journal;
    uint8_t *note = NULL;
    size_t n;
    enum bise_status status = journal_open(&journal, path, &err);
    if (!status && file_exists(path))
        status = read_note(c, format, path, &identity, &note, &n, &err);
    else if (!status)
        status = journal_read(&journal, &note, &n, &err);
    if (!status && n == 0)
        status = bise_fail(&err, BISE_ERR_IO, "%s: there is no such session", path);
    free(note);
    journal_close(&journal);
    return status ? report(status, &err) : EXIT_DONE;
}

/* Whether path is free, or holds a session that may be written over. */
static enum bise_status check_target(const char *path, struct bise_error *err) {
    uint8_t magic[8];
    uint64_t size;
    int fd;
    if (!file_exists(path))
        return BISE_OK;
    enum bise_status status = file_open(path, &fd, &size, err);
    if (status)
        return status;
    if (size < sizeof magic || file_read_at(fd, path, 0, magic, sizeof magic, err) != BISE_OK ||
        memcmp(magic, SESSION_MAGIC, sizeof magic) != 0)
        status = bise_fail(err, BISE_ERR_ARG,
                           "%s exists and is not a session: it is not written over", path);
    close(fd);
    return status;
}

int session_store_copy(const struct conversation *c, enum chat_format format, const char *path) {
    struct bise_error err = {0};
    struct journal journal;
    struct stat st;
    struct session_identity identity = new_identity(c->runtime->model);
    identity.generation = 1;
    enum bise_status status = check_target(path, &err);
    if (status)
        return report(status, &err);
    status = journal_open(&journal, path, &err);
    if (!status && fstat(journal.fd, &st) == 0 && st.st_size > 0)
        status = bise_fail(&err, BISE_ERR_ARG,
                           "%s holds messages that %s does not have: it is not written over",
                           journal.path, path);
    if (!status)
        status = write_session(c, format, &identity, path, &err);
    journal_close(&journal);
    if (status)
        return report(status, &err);
    say("saved: %s\n", path);
    return EXIT_DONE;
}
