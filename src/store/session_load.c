/* Reader of untrusted session files; tests/fuzz/fuzz_session.c feeds it. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/os/file.h"
#include "src/sampling/sampler.h"
#include "src/store/session_file.h"
#include "src/store/session_runs.h"

#include <stdlib.h>

#define PORTION 16384 /* bytes read at once where they are not wanted as they lie */

typedef unsigned long long ull; /* for %llu */

/* A file being read from front to back, and the CRC of its part so far. */
struct in {
    const char *path;
    int fd;
    uint64_t at, size;
    uint32_t crc;
    struct bise_error *err;
};

static enum bise_status get(struct in *in, void *data, size_t len) {
    const enum bise_status s = file_read_at(in->fd, in->path, in->at, data, len, in->err);
    if (s == BISE_OK)
        in->crc = crc32c(in->crc, data, len);
    in->at += len;
    return s;
}

static enum bise_status end_part(struct in *in, const char *what) {
    const uint32_t found = in->crc;
    uint8_t bytes[4];
    const enum bise_status s = get(in, bytes, sizeof bytes);
    if (s != BISE_OK)
        return s;
    in->crc = 0;
    if (get_u32(bytes) != found)
        return bise_fail(in->err, BISE_ERR_FORMAT,
                         "%s: the %s is damaged: expected CRC %08x, found %08x", in->path, what,
                         get_u32(bytes), found);
    return BISE_OK;
}

/* Opens the file and reads its header, which must be of the model. */
static enum bise_status open_in(struct in *in, struct session_header *h,
                                const struct bise_model *model) {
    uint8_t bytes[SESSION_HEADER];
    enum bise_status s = file_open(in->path, &in->fd, &in->size, in->err);
    if (s != BISE_OK)
        return s;
    const size_t n = in->size < sizeof bytes ? (size_t)in->size : sizeof bytes;
    s = get(in, bytes, n);
    if (s == BISE_OK)
        s = session_header_read(h, bytes, n, in->path, in->err);
    if (s == BISE_OK)
        s = session_header_match(h, model, in->path, in->err);
    in->crc = 0;
    return s;
}

enum bise_status bise_session_note(const struct bise_model *model, const char *path, void **note,
                                   size_t *len, struct bise_error *err) {
    struct in in = {.path = path, .fd = -1, .err = err};
    struct session_header h;
    uint8_t *bytes = NULL;
    *note = NULL;
    *len = 0;
    enum bise_status s = open_in(&in, &h, model);
    if (s == BISE_OK && h.note_bytes > in.size - in.at)
        s = bise_fail(err, BISE_ERR_FORMAT, "%s is truncated: its note of %llu bytes is not whole",
                      path, (ull)h.note_bytes);
    if (s == BISE_OK && (bytes = malloc(h.note_bytes ? (size_t)h.note_bytes : 1)) == NULL)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its note of %llu bytes", path,
                      (ull)h.note_bytes);
    if (s == BISE_OK)
        s = get(&in, bytes, (size_t)h.note_bytes);
    if (s == BISE_OK)
        s = end_part(&in, "note");
    file_close(&in.fd);
    if (s != BISE_OK) {
        free(bytes);
        return s;
    }
    *note = bytes;
    *len = (size_t)h.note_bytes;
    return BISE_OK;
}

/* ---- cache --------------------------------------------------------------------------------- */

/* Reads len bytes for their CRC alone. */
static enum bise_status skip(struct in *in, uint64_t len) {
    uint8_t portion[PORTION];
    enum bise_status s = BISE_OK;
    while (len > 0 && s == BISE_OK) {
        const size_t n = len < sizeof portion ? (size_t)len : sizeof portion;
        s = get(in, portion, n);
        len -= n;
    }
    return s;
}

static bool scales_sound(const float *scales, size_t n) {
    bool sound = all_finite(scales, n);
    for (size_t i = 0; i < n; i++)
        sound = sound && scales[i] >= 0;
    return sound;
}

static bool halves_finite(const uint16_t *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++)
        finite = finite && (x[i] & 0x7c00) != 0x7c00;
    return finite;
}

/* Whether these are values that kv_write could have put there (codes are -127..127). */
static bool run_sound(const struct kv_cache *kv, enum kv_part part, const void *at, size_t bytes) {
    if (part >= PART_KEY_SCALES)
        return scales_sound(at, bytes / sizeof(float));
    if (kv->type == BISE_KV_I8)
        return memchr(at, 0x80, bytes) == NULL;
    if (kv->type == BISE_KV_F16)
        return halves_finite(at, bytes / sizeof(uint16_t));
    return all_finite(at, bytes / sizeof(float));
}

/* Positions [from, to) of the file; where they are more than the ring has, the last ones stay. */
static enum bise_status get_part(struct in *in, const struct kv_cache *kv, size_t i,
                                 enum kv_part part, uint64_t from, uint64_t to) {
    const size_t layer = i / kv->n_heads, head = i % kv->n_heads;
    enum bise_status s = BISE_OK;
    for (uint64_t pos = from; pos < to && s == BISE_OK;) {
        size_t n;
        const uint64_t at = pos;
        void *const run = next_run(kv, layer, head, part, &pos, to, &n);
        s = get(in, run, n);
        if (s == BISE_OK && !run_sound(kv, part, run, n))
            s = bise_fail(in->err, BISE_ERR_FORMAT,
                          "%s: layer %zu, head %zu, from position %llu: values that no cache holds",
                          in->path, layer, head, (ull)at);
    }
    return s;
}

static enum bise_status get_positions(struct in *in, const struct kv_cache *kv, uint64_t from,
                                      uint64_t to) {
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < kv->n_layers * kv->n_heads && s == BISE_OK; i++)
        for (unsigned part = 0; part < kv_parts(kv) && s == BISE_OK; part++)
            s = get_part(in, kv, i, (enum kv_part)part, from, to);
    return s;
}

/* ---- state --------------------------------------------------------------------------------- */

/* The next n ids of the file, each handed to use. */
static enum bise_status get_ids(struct in *in, uint32_t n, uint32_t vocab,
                                void (*use)(void *arg, int32_t id), void *arg) {
    int32_t ids[PORTION / sizeof(int32_t)];
    while (n > 0) {
        const uint32_t count = n < PORTION / sizeof *ids ? n : (uint32_t)(PORTION / sizeof *ids);
        const enum bise_status s = get(in, ids, count * sizeof *ids);
        if (s != BISE_OK)
            return s;
        for (uint32_t i = 0; i < count; i++) {
            if (ids[i] < 0 || (uint32_t)ids[i] >= vocab)
                return bise_fail(in->err, BISE_ERR_FORMAT, "%s: expected an id below %u, found %d",
                                 in->path, vocab, (int)ids[i]);
            use(arg, ids[i]);
        }
        n -= count;
    }
    return BISE_OK;
}

static void use_recent(void *sampler, int32_t id) {
    if (sampler)
        bise_sampler_accept(sampler, id);
}

static void use_id(void *session, int32_t id) {
    struct bise_session *const s = session;
    struct sequence *const seq = &s->engine->seqs[0];
    sequence_keep_ids(seq, &s->engine->plan, seq->pos++, &id, 1);
}

static enum bise_status get_sampler(struct in *in, const struct session_header *h,
                                    struct bise_sampler *sampler) {
    uint64_t random[4];
    uint8_t bytes[32];
    if (!(h->flags & SESSION_HAS_SAMPLER))
        return BISE_OK;
    const enum bise_status s = get(in, bytes, sizeof bytes);
    if (s != BISE_OK)
        return s;
    for (int i = 0; i < 4; i++)
        random[i] = get_u64(bytes + 8 * i);
    if (sampler) {
        sampler_reset(sampler);
        if (!sampler_set_random(sampler, random))
            return bise_fail(in->err, BISE_ERR_FORMAT, "%s: random numbers that are all zero",
                             in->path);
    }
    return get_ids(in, h->n_recent, h->vocab_size, use_recent, sampler);
}

static enum bise_status get_state(struct in *in, const struct session_header *h,
                                  struct bise_session *session, struct bise_sampler *sampler) {
    enum bise_status s = get_sampler(in, h, sampler);
    struct sequence *const seq = &session->engine->seqs[0];
    seq->pos = h->pos - h->n_ids;
    if (s == BISE_OK)
        s = get_ids(in, h->n_ids, h->vocab_size, use_id, session);
    if (s == BISE_OK)
        s = get(in, seq->logits, h->vocab_size * sizeof *seq->logits);
    if (s == BISE_OK && !all_finite(seq->logits, h->vocab_size))
        s = bise_fail(in->err, BISE_ERR_FORMAT, "%s: logits that are not numbers", in->path);
    return s == BISE_OK ? end_part(in, "state") : s;
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Whether this session can take what the file holds; all of it before anything is changed. */
static enum bise_status check_fit(const struct bise_engine *e, const struct session_header *h,
                                  const char *path, struct bise_error *err) {
    static const char *const types[] = {"auto", "i8", "f16", "f32"};
    const struct sequence *const s = &e->seqs[0];
    const uint64_t n = h->pos - h->start_pos, window = e->plan.window;
    if (h->kv != s->kv.type || h->window != window || h->n_sinks != e->plan.n_sinks)
        return bise_fail(err, BISE_ERR_ARG,
                         "%s was saved with a cache of %s, a window of %u and %u sinks; this "
                         "session has %s, %llu and %u",
                         path, types[h->kv], h->window, h->n_sinks, types[s->kv.type], (ull)window,
                         e->plan.n_sinks);
    if (window == 0 && h->start_pos != s->opened_at)
        return bise_fail(err, BISE_ERR_ARG, "%s begins at position %llu; this session at %llu",
                         path, (ull)h->start_pos, (ull)s->opened_at);
    if (window == 0 && n > e->plan.n_ctx)
        return bise_fail(err, BISE_ERR_CONTEXT,
                         "%s holds %llu tokens; the context of this session has room for %u", path,
                         (ull)n, e->plan.n_ctx);
    const uint64_t needed = window > 0 && n >= window ? h->pos - window + 1 : h->start_pos;
    if (h->first > needed)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the cache begins at %llu, but position %llu sees %llu", path,
                         (ull)h->first, (ull)h->pos, (ull)needed);
    return BISE_OK;
}

/* Takes everything from the file; the session's places are set last. */
static enum bise_status fill(struct in *in, const struct session_header *h,
                             struct bise_session *session, struct bise_sampler *sampler) {
    struct sequence *const s = &session->engine->seqs[0];
    const uint64_t to = session_cache_to(h);
    enum bise_status status = skip(in, h->note_bytes);
    if (status == BISE_OK)
        status = end_part(in, "note");
    if (status == BISE_OK)
        status = get_positions(in, &s->kv, session_cache_from(h), to);
    if (status == BISE_OK)
        status = get_positions(in, &s->sinks, 0, h->n_sinks);
    if (status == BISE_OK)
        status = end_part(in, "cache");
    if (status == BISE_OK)
        status = get_state(in, h, session, sampler);
    if (status != BISE_OK)
        return status;
    s->start_pos = h->start_pos;
    s->kept_from = to - h->first > s->kv.ring ? to - s->kv.ring : h->first;
    s->ids_from = h->pos - h->n_ids;
    s->filled = s->pos;
    s->has_logits = true;
    return BISE_OK;
}

enum bise_status bise_session_load(struct bise_session *session, struct bise_sampler *sampler,
                                   const char *path, struct bise_error *err) {
    struct in in = {.path = path, .fd = -1, .err = err};
    struct session_header h;
    enum bise_status s = open_in(&in, &h, session->engine->model);
    if (s == BISE_OK)
        s = session_check_length(&h, in.size, path, err);
    if (s == BISE_OK)
        s = check_fit(session->engine, &h, path, err);
    if (s == BISE_OK) {
        s = fill(&in, &h, session, sampler);
        if (s != BISE_OK) { /* what came in may be no numbers, which even masked ones must be */
            struct sequence *const seq = &session->engine->seqs[0];
            memset(seq->kv.memory, 0, seq->kv.bytes);
            if (h.n_sinks)
                memset(seq->sinks.memory, 0, seq->sinks.bytes);
            bise_reset(session);
            if (sampler)
                sampler_reset(sampler);
        }
    }
    file_close(&in.fd);
    return s;
}
