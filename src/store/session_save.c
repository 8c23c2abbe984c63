#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/os/new_file.h"
#include "src/sampling/sampler.h"
#include "src/store/session_file.h"
#include "src/store/session_runs.h"

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

static void end_part(struct out *o) {
    uint8_t bytes[4];
    put_u32(bytes, o->crc);
    put(o, bytes, sizeof bytes);
    o->crc = 0;
}

static void put_positions(struct out *o, const struct kv_cache *kv, uint64_t from, uint64_t to) {
    for (size_t i = 0; i < kv->n_layers * kv->n_heads; i++)
        for (unsigned part = 0; part < kv_parts(kv); part++)
            for (uint64_t pos = from; pos < to;) {
                size_t n;
                const void *const at = next_run(kv, i / kv->n_heads, i % kv->n_heads,
                                                (enum kv_part)part, &pos, to, &n);
                put(o, at, n);
            }
}

static void put_state(struct out *o, const struct bise_session *s,
                      const struct bise_sampler *sampler, const struct session_header *h) {
    if (sampler) {
        uint64_t random[4];
        uint8_t bytes[8];
        sampler_random(sampler, random);
        for (int i = 0; i < 4; i++) {
            put_u64(bytes, random[i]);
            put(o, bytes, sizeof bytes);
        }
    }
    for (uint32_t i = 0; i < h->n_recent; i++) {
        const int32_t id = sampler_recent(sampler, i);
        put(o, &id, sizeof id);
    }
    const struct sequence *const seq = session_sequence(s);
    const uint32_t ring = s->engine->plan.n_ctx;
    for (uint32_t left = h->n_ids; left > 0;) {
        const uint32_t slot = (uint32_t)((seq->pos - left) % ring);
        const uint32_t n = left < ring - slot ? left : ring - slot;
        put(o, seq->ids + slot, n * sizeof *seq->ids);
        left -= n;
    }
    put(o, seq->logits, h->vocab_size * sizeof *seq->logits);
    end_part(o);
}

static void describe(struct session_header *h, const struct bise_session *s,
                     const struct bise_sampler *sampler, size_t note_len) {
    const struct bise_model *const model = s->engine->model;
    const struct model_config *const c = &model->config;
    const struct sequence *const seq = session_sequence(s);
    *h = (struct session_header){
        .model_hash = session_model_hash(model),
        .model_bytes = model->info.file_bytes,
        .note_bytes = note_len,
        .kv = seq->kv.type,
        .window = s->engine->plan.window,
        .n_sinks = s->engine->plan.n_sinks,
        .n_layers = c->n_layers,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .vocab_size = c->vocab_size,
        .start_pos = seq->start_pos,
        .pos = seq->pos,
        .n_ids = (uint32_t)bise_last_ids(s, NULL, SIZE_MAX),
        .n_recent = sampler ? sampler_n_recent(sampler) : 0,
        .flags = sampler ? SESSION_HAS_SAMPLER : 0,
    };
    memcpy(h->model_name, model->name, SESSION_NAME);
    /* Whole groups, no slot twice. */
    const uint64_t oldest = sequence_oldest(seq), to = session_cache_to(h);
    h->first = to - oldest > seq->kv.ring ? to - seq->kv.ring : oldest;
}

enum bise_status bise_session_save(const struct bise_session *s, const struct bise_sampler *sampler,
                                   const void *note, size_t note_len, const char *path,
                                   struct bise_error *err) {
    struct session_header h;
    uint8_t bytes[SESSION_HEADER];
    if (note_len > SESSION_NOTE_MAX)
        return bise_fail(err, BISE_ERR_ARG, "%s: a note of %zu bytes", path, note_len);
    describe(&h, s, sampler, note_len);
    if (!session_file_bytes(&h, &h.file_bytes))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: its length overflows", path);
    session_header_write(&h, bytes);
    struct out o = {.err = err};
    o.status = new_file_create(&o.file, path, NEW_FILE_PRIVATE, err);
    put(&o, bytes, sizeof bytes);
    o.crc = 0;
    put(&o, note, note_len);
    end_part(&o);
    put_positions(&o, &session_sequence(s)->kv, session_cache_from(&h), session_cache_to(&h));
    put_positions(&o, &session_sequence(s)->sinks, 0, h.n_sinks);
    end_part(&o);
    put_state(&o, s, sampler, &h);
    if (o.status == BISE_OK)
        o.status = new_file_finish(&o.file, err);
    new_file_abort(&o.file);
    return o.status;
}
