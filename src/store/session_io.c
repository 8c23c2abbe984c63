/* A sequence to a file and back. The file is not trusted; tests/fuzz/fuzz_session.c feeds it. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/os/file.h"
#include "src/os/new_file.h"
#include "src/store/session_file.h"

#include <stdlib.h>

#define PORTION 16384 /* bytes read at once where they are not wanted as they lie */

typedef unsigned long long ull; /* for %llu */

/* ---- the cache in the file's order ---------------------------------------------------------- */

enum kv_part {
    PART_KEYS,
    PART_VALUES,
    PART_KEY_SCALES,
    PART_VALUE_SCALES,
    PART_KEY_GRIDS,
    PART_VALUE_GRIDS
};

/* How many parts a cache of this type has. */
static unsigned kv_parts(const struct kv_cache *kv) {
    return kv->type == BISE_KV_I4 ? 6 : kv->type == BISE_KV_I8 ? 4 : 2;
}

/* Bytes of one position in a part. */
static size_t part_bytes(const struct kv_cache *kv, enum kv_part part) {
    return part >= PART_KEY_GRIDS    ? kv->hd / BLOCK_K
           : part >= PART_KEY_SCALES ? sizeof(float)
                                     : kv->pos_bytes;
}

/* Contiguous memory of positions [*pos, ...) of one part, at most to `to`; moves *pos on. Positions
 * are multiples of ATTN_GROUP. */
static void *next_run(const struct kv_cache *kv, size_t layer, size_t head, enum kv_part part,
                      uint64_t *pos, uint64_t to, size_t *bytes) {
    const size_t slot = (size_t)(*pos % kv->ring);
    const size_t left = (size_t)(to - *pos), room = kv->ring - slot;
    const size_t n = left < room ? left : room;
    const struct kv_view at = kv_at(kv, layer, head, slot);
    const void *const parts[] = {at.keys,         at.values,    at.key_scales,
                                 at.value_scales, at.key_grids, at.value_grids};
    *pos += n;
    *bytes = n * part_bytes(kv, part);
    return (void *)(uintptr_t)parts[part];
}

/* ---- saving --------------------------------------------------------------------------------- */

/* A file being written and the CRC of its part so far. After a failure nothing more is done. */
struct out {
    struct new_file file;
    uint32_t crc;
    enum bise_status status;
    struct bise_error *err;
};

static void put(struct out *o, const void *data, size_t len) {
    if (o->status != BISE_OK)
        return;
    o->status = new_file_write(&o->file, data, len, o->err);
    o->crc = crc32c(o->crc, data, len);
}

static void put_crc(struct out *o) {
    uint8_t bytes[4];
    put_u32(bytes, o->crc);
    put(o, bytes, sizeof bytes);
    o->crc = 0;
}

/* A group of a part, of which positions lo .. hi - 1 (0 .. 16) count: zeros for the others,
 * whatever was there (text that was taken back, or was before). */
static void put_group(struct out *o, const struct kv_cache *kv, enum kv_part part,
                      const uint8_t *group, size_t lo, size_t hi) {
    uint8_t bytes[ATTN_GROUP * MAX_HEAD_DIM * sizeof(float)];
    const size_t all = ATTN_GROUP * part_bytes(kv, part);
    const struct kv_lines l = part == PART_KEYS        ? kv_key_lines(kv)
                              : part == PART_VALUES    ? kv_value_lines(kv)
                              : part >= PART_KEY_GRIDS ? kv_grid_lines(kv)
                                                       : (struct kv_lines){1, 1, sizeof(float)};
    memset(bytes, 0, all);
    for (size_t lane = lo; lane < hi; lane++)
        for (size_t i = 0; i < l.lines; i++) {
            const size_t at = kv_line_at(&l, lane, i);
            memcpy(bytes + at, group + at, l.bytes);
        }
    put(o, bytes, all);
}

/* Positions from..to - 1 of a part, with zeros to whole groups and up to end. */
static void put_part(struct out *o, const struct kv_cache *kv, size_t i, enum kv_part part,
                     uint64_t from, uint64_t to, uint64_t end) {
    const uint64_t group = ATTN_GROUP, last = to & ~(group - 1);
    for (uint64_t pos = from & ~(group - 1); pos < end;) {
        const bool whole = pos >= from && pos < last;
        const uint64_t at = pos;
        size_t n;
        const uint8_t *const run = next_run(kv, i / kv->n_heads, i % kv->n_heads, part, &pos,
                                            whole ? last : pos + group, &n);
        if (whole)
            put(o, run, n);
        else
            put_group(o, kv, part, run, from > at ? (size_t)(from - at) : 0,
                      to > at ? (size_t)(to - at < group ? to - at : group) : 0);
    }
}

static void put_positions(struct out *o, const struct kv_cache *kv, uint64_t from, uint64_t to,
                          uint64_t end) {
    for (size_t i = 0; i < kv->n_layers * kv->n_heads; i++)
        for (unsigned part = 0; part < kv_parts(kv); part++)
            put_part(o, kv, i, (enum kv_part)part, from, to, end);
}

static void put_state(struct out *o, const struct bise_engine *e, const struct sequence *s,
                      const struct session_header *h) {
    const uint32_t ring = e->plan.n_ctx;
    for (uint32_t left = h->n_ids; left > 0;) {
        const uint32_t slot = (uint32_t)((s->pos - left) % ring);
        const uint32_t n = left < ring - slot ? left : ring - slot;
        put(o, s->ids + slot, n * sizeof *s->ids);
        left -= n;
    }
    if (s->has_logits)
        put(o, s->logits, h->vocab_size * sizeof *s->logits);
}

static void describe(struct session_header *h, const struct bise_engine *e, uint32_t seq,
                     uint64_t seed, size_t note_len) {
    const struct sequence *const s = &e->seqs[seq];
    const struct model_config *const c = &e->model->config;
    *h = (struct session_header){
        .version = SESSION_VERSION,
        .model_hash = session_model_hash(e->model),
        .seed = seed,
        .note_bytes = note_len,
        .kv = s->kv.type,
        .window = e->plan.window,
        .n_sinks = e->plan.n_sinks,
        .n_layers = c->n_layers,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .vocab_size = c->vocab_size,
        .start_pos = s->start_pos,
        .pos = s->pos,
        .n_ids = (uint32_t)bise_seq_last_ids(e, seq, NULL, SIZE_MAX),
        .arithmetic = SESSION_ARITHMETIC,
        .flags = s->has_logits ? SESSION_HAS_LOGITS : 0,
    };
    memcpy(h->model_name, e->model->name, SESSION_NAME);
    /* Whole groups, no slot twice; nothing that was before what may be gone back to. */
    const uint64_t oldest = sequence_oldest(s), to = session_cache_to(h);
    h->first = to - oldest > s->kv.ring ? to - s->kv.ring : oldest;
    h->first = h->first < s->pos ? h->first : s->pos;
}

enum bise_status bise_seq_save(const struct bise_engine *e, uint32_t seq, uint64_t seed,
                               const void *note, size_t note_len, const char *path,
                               struct bise_error *err) {
    const struct sequence *const s = &e->seqs[seq];
    struct session_header h;
    uint8_t bytes[SESSION_HEADER];
    if (note_len > SESSION_NOTE_MAX)
        return bise_fail(err, BISE_ERR_ARG, "%s: a note of %zu bytes", path, note_len);
    describe(&h, e, seq, seed, note_len);
    if (!session_file_bytes(&h, &h.file_bytes))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: its length overflows", path);
    session_header_write(&h, bytes);
    struct out o = {.err = err};
    o.status = new_file_create(&o.file, path, NEW_FILE_PRIVATE, err);
    put(&o, bytes, sizeof bytes);
    o.crc = 0;
    put(&o, note, note_len);
    put_crc(&o);
    put_positions(&o, &s->kv, h.first, h.pos, session_cache_to(&h));
    put_positions(&o, &s->sinks, 0, h.pos < h.n_sinks ? h.pos : h.n_sinks, h.n_sinks);
    put_crc(&o);
    put_state(&o, e, s, &h);
    put_crc(&o);
    if (o.status == BISE_OK)
        o.status = new_file_finish(&o.file, err);
    new_file_abort(&o.file);
    return o.status;
}

enum bise_status bise_session_save(const struct bise_session *session, uint64_t seed,
                                   const void *note, size_t note_len, const char *path,
                                   struct bise_error *err) {
    return bise_seq_save(session->engine, 0, seed, note, note_len, path, err);
}

/* ---- loading -------------------------------------------------------------------------------- */

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

static enum bise_status check_crc(struct in *in, const char *what) {
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
        s = check_crc(&in, "note");
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
    if (part >= PART_KEY_GRIDS)
        return kv_grids_sound(at, bytes);
    if (part >= PART_KEY_SCALES)
        return scales_sound(at, bytes / sizeof(float));
    if (kv->type == BISE_KV_I4)
        return true; /* all codes are, of grids that are */
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

/* ---- state ---------------------------------------------------------------------------------- */

static enum bise_status get_ids(struct in *in, uint32_t n, uint32_t vocab, struct sequence *s,
                                const struct bise_plan *plan) {
    int32_t ids[PORTION / sizeof(int32_t)];
    for (uint32_t count; n > 0; n -= count) {
        count = n < PORTION / sizeof *ids ? n : (uint32_t)(PORTION / sizeof *ids);
        const enum bise_status status = get(in, ids, count * sizeof *ids);
        if (status != BISE_OK)
            return status;
        for (uint32_t i = 0; i < count; i++)
            if (ids[i] < 0 || (uint32_t)ids[i] >= vocab)
                return bise_fail(in->err, BISE_ERR_FORMAT, "%s: expected an id below %u, found %d",
                                 in->path, vocab, (int)ids[i]);
        sequence_keep_ids(s, plan, s->pos, ids, count);
        s->pos += count;
    }
    return BISE_OK;
}

static enum bise_status get_state(struct in *in, const struct session_header *h, struct sequence *s,
                                  const struct bise_plan *plan) {
    s->pos = h->pos - h->n_ids;
    enum bise_status status = get_ids(in, h->n_ids, h->vocab_size, s, plan);
    s->has_logits = h->flags & SESSION_HAS_LOGITS;
    if (status == BISE_OK && s->has_logits)
        status = get(in, s->logits, h->vocab_size * sizeof *s->logits);
    if (status == BISE_OK && s->has_logits && !all_finite(s->logits, h->vocab_size))
        status = bise_fail(in->err, BISE_ERR_FORMAT, "%s: logits that are not numbers", in->path);
    return status == BISE_OK ? check_crc(in, "state") : status;
}

/* Whether the sequence can take what the file holds; all of it before anything is changed. */
static enum bise_status check_fit(const struct bise_engine *e, const struct sequence *s,
                                  const struct session_header *h, const char *path,
                                  struct bise_error *err) {
    const uint64_t n = h->pos - h->start_pos, window = e->plan.window;
    if (h->version == 1 || h->arithmetic != SESSION_ARITHMETIC)
        return bise_fail(err, BISE_ERR_ARG, "%s holds a cache of %s, whose bits are others", path,
                         h->version == 1 ? "bise 0.1" : "another arithmetic");
    if (h->kv != s->kv.type || h->window != window || h->n_sinks != e->plan.n_sinks)
        return bise_fail(err, BISE_ERR_ARG,
                         "%s was saved with a cache of %s, a window of %u and %u sinks; this "
                         "session has %s, %llu and %u",
                         path, bise_kv_name(h->kv), h->window, h->n_sinks, bise_kv_name(s->kv.type),
                         (ull)window, e->plan.n_sinks);
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

/* Takes everything from the file; the sequence's places are set last. */
static enum bise_status fill(struct in *in, const struct session_header *h, struct sequence *s,
                             const struct bise_plan *plan) {
    const uint64_t to = session_cache_to(h);
    enum bise_status status = skip(in, h->note_bytes);
    if (status == BISE_OK)
        status = check_crc(in, "note");
    if (status == BISE_OK)
        status = get_positions(in, &s->kv, session_cache_from(h), to);
    if (status == BISE_OK)
        status = get_positions(in, &s->sinks, 0, h->n_sinks);
    if (status == BISE_OK)
        status = check_crc(in, "cache");
    if (status == BISE_OK)
        status = get_state(in, h, s, plan);
    if (status != BISE_OK)
        return status;
    s->start_pos = h->start_pos;
    s->kept_from = to - h->first > s->kv.ring ? to - s->kv.ring : h->first;
    s->ids_from = h->pos - h->n_ids;
    s->filled = s->pos;
    return BISE_OK;
}

enum bise_status bise_seq_load(struct bise_engine *e, uint32_t seq, uint64_t *seed,
                               const char *path, struct bise_error *err) {
    struct sequence *const s = &e->seqs[seq];
    struct in in = {.path = path, .fd = -1, .err = err};
    struct session_header h;
    enum bise_status status = open_in(&in, &h, e->model);
    if (status == BISE_OK)
        status = check_fit(e, s, &h, path, err);
    if (status == BISE_OK)
        status = session_check_length(&h, in.size, path, err);
    if (status == BISE_OK) {
        status = fill(&in, &h, s, &e->plan);
        if (status !=
            BISE_OK) { /* what came in may be no numbers, which even masked ones must be */
            memset(s->kv.memory, 0, s->kv.bytes);
            if (h.n_sinks)
                memset(s->sinks.memory, 0, s->sinks.bytes);
            bise_seq_reset(e, seq);
        } else if (seed) {
            *seed = h.seed;
        }
    }
    file_close(&in.fd);
    return status;
}

enum bise_status bise_session_load(struct bise_session *session, uint64_t *seed, const char *path,
                                   struct bise_error *err) {
    return bise_seq_load(session->engine, 0, seed, path, err);
}
