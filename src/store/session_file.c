/* Reader of untrusted headers; tests/fuzz/fuzz_session.c feeds it. */
#include "src/store/session_file.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/engine/plan.h"
#include "src/model/format.h"
#include "src/os/mem.h"
#include "src/sampling/sampler.h"

typedef unsigned long long ull; /* for %llu */

uint64_t session_model_hash(const struct bise_model *model) {
    const uint64_t n = get_u64(model->map + AT_HEADER_BYTES);
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < n; i++)
        hash = (hash ^ model->map[i]) * 0x100000001b3u;
    return hash;
}

bool session_file_bytes(const struct session_header *h, uint64_t *bytes) {
    struct kv_cache kv, sinks;
    const uint64_t slots = session_cache_to(h) - session_cache_from(h);
    size_t sum;
    if (slots > SIZE_MAX / 2 ||
        !kv_layout(&kv, (enum bise_kv)h->kv, h->n_layers, h->n_kv_heads, h->head_dim,
                   (size_t)slots) ||
        !kv_layout(&sinks, (enum bise_kv)h->kv, h->n_layers, h->n_kv_heads, h->head_dim,
                   h->n_sinks))
        return false;
    const size_t sampler = h->flags & SESSION_HAS_SAMPLER ? 32 : 0;
    const size_t state =
        sampler + 4 * ((size_t)h->n_recent + (size_t)h->n_ids + (size_t)h->vocab_size);
    if (!add_ok(kv.bytes, SESSION_HEADER + 3 * sizeof(uint32_t), &sum) ||
        !add_ok(sum, sinks.bytes, &sum) || !add_ok(sum, state, &sum) ||
        !add_ok(sum, h->note_bytes, &sum))
        return false;
    *bytes = sum;
    return true;
}

void session_header_write(const struct session_header *h, uint8_t out[SESSION_HEADER]) {
    memset(out, 0, SESSION_HEADER);
    memcpy(out + S_MAGIC, SESSION_MAGIC, 8);
    put_u32(out + S_VERSION, SESSION_VERSION);
    put_u64(out + S_FILE_BYTES, h->file_bytes);
    put_u64(out + S_MODEL_HASH, h->model_hash);
    put_u64(out + S_MODEL_BYTES, h->model_bytes);
    memcpy(out + S_MODEL_NAME, h->model_name, SESSION_NAME);
    put_u32(out + S_KV, h->kv);
    put_u32(out + S_WINDOW, h->window);
    put_u32(out + S_N_LAYERS, h->n_layers);
    put_u32(out + S_N_KV_HEADS, h->n_kv_heads);
    put_u32(out + S_HEAD_DIM, h->head_dim);
    put_u32(out + S_VOCAB_SIZE, h->vocab_size);
    put_u64(out + S_START_POS, h->start_pos);
    put_u64(out + S_FIRST, h->first);
    put_u64(out + S_POS, h->pos);
    put_u32(out + S_N_IDS, h->n_ids);
    put_u32(out + S_N_RECENT, h->n_recent);
    put_u64(out + S_NOTE_BYTES, h->note_bytes);
    put_u32(out + S_FLAGS, h->flags);
    put_u32(out + S_N_SINKS, h->n_sinks);
    put_u32(out + S_HEADER_CRC, crc32c(0, out, SESSION_HEADER));
}

static bool crc_is_right(const uint8_t *data) {
    static const uint8_t zeros[4];
    uint32_t crc = crc32c(0, data, S_HEADER_CRC);
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = crc32c(crc, data + S_HEADER_CRC + 4, SESSION_HEADER - S_HEADER_CRC - 4);
    return crc == get_u32(data + S_HEADER_CRC);
}

/* What lies before the fields; the same order as for model files. */
static enum bise_status check_frame(const uint8_t *data, size_t n, const char *name,
                                    struct bise_error *err) {
    if (n == 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is empty", name);
    if (memcmp(data, SESSION_MAGIC, n < 8 ? n : 8) != 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is not a session of bise: it does not begin with \"BISES\"", name);
    if (n < SESSION_HEADER)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is truncated: %zu bytes, less than the %u a session begins with", name,
                         n, SESSION_HEADER);
    const uint32_t version = get_u32(data + S_VERSION);
    if (version != SESSION_VERSION)
        return bise_fail(err, version > SESSION_VERSION ? BISE_ERR_UNSUPPORTED : BISE_ERR_FORMAT,
                         "%s has session version %u; this program reads version %u", name, version,
                         SESSION_VERSION);
    if (!crc_is_right(data))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: the header is damaged: wrong CRC", name);
    return BISE_OK;
}

static void read_fields(struct session_header *h, const uint8_t *data) {
    *h = (struct session_header){
        .file_bytes = get_u64(data + S_FILE_BYTES),
        .model_hash = get_u64(data + S_MODEL_HASH),
        .model_bytes = get_u64(data + S_MODEL_BYTES),
        .kv = get_u32(data + S_KV),
        .window = get_u32(data + S_WINDOW),
        .n_layers = get_u32(data + S_N_LAYERS),
        .n_kv_heads = get_u32(data + S_N_KV_HEADS),
        .head_dim = get_u32(data + S_HEAD_DIM),
        .vocab_size = get_u32(data + S_VOCAB_SIZE),
        .start_pos = get_u64(data + S_START_POS),
        .first = get_u64(data + S_FIRST),
        .pos = get_u64(data + S_POS),
        .n_ids = get_u32(data + S_N_IDS),
        .n_recent = get_u32(data + S_N_RECENT),
        .note_bytes = get_u64(data + S_NOTE_BYTES),
        .flags = get_u32(data + S_FLAGS),
        .n_sinks = get_u32(data + S_N_SINKS),
    };
    memcpy(h->model_name, data + S_MODEL_NAME, SESSION_NAME);
    for (char *p = h->model_name; p < h->model_name + SESSION_NAME - 1 && *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?'; /* messages print it */
    h->model_name[SESSION_NAME - 1] = 0;
}

/* Ranges that hold for any model, so that sums of them cannot overflow. */
static bool in_range(const struct session_header *h) {
    const uint64_t last = 2 * MAX_START_POSITION;
    return h->kv >= BISE_KV_I8 && h->kv <= BISE_KV_F32 && h->window <= MAX_CONTEXT &&
           h->n_layers >= 1 && h->n_layers <= MAX_LAYERS && h->n_kv_heads >= 1 &&
           h->n_kv_heads <= MAX_DIM && h->head_dim >= 1 && h->head_dim <= MAX_HEAD_DIM &&
           h->vocab_size >= 1 && h->vocab_size <= MAX_VOCAB && h->pos <= last &&
           h->first <= h->pos && h->start_pos <= h->first && h->n_ids <= MAX_CONTEXT &&
           h->n_ids <= h->pos - h->start_pos && h->n_recent <= SAMPLER_MAX_RECENT &&
           (h->flags & ~SESSION_HAS_SAMPLER) == 0 &&
           (h->n_recent == 0 || h->flags & SESSION_HAS_SAMPLER) &&
           h->note_bytes <= SESSION_NOTE_MAX && h->n_sinks <= MAX_CONTEXT &&
           h->n_sinks % ATTN_GROUP == 0;
}

enum bise_status session_header_read(struct session_header *h, const uint8_t *data, size_t n,
                                     const char *name, struct bise_error *err) {
    uint64_t expected;
    const enum bise_status s = check_frame(data, n, name, err);
    if (s != BISE_OK)
        return s;
    if (!all_zero(data + S_UNUSED, SESSION_HEADER - S_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: unused bytes of the header are not zero", name);
    read_fields(h, data);
    if (!in_range(h) || !session_file_bytes(h, &expected) || expected != h->file_bytes)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a number in the header is out of range", name);
    return BISE_OK;
}

enum bise_status session_check_length(const struct session_header *h, uint64_t file_bytes,
                                      const char *name, struct bise_error *err) {
    if (file_bytes < h->file_bytes)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is truncated: expected %llu bytes, found %llu, %llu are missing", name,
                         (ull)h->file_bytes, (ull)file_bytes, (ull)(h->file_bytes - file_bytes));
    if (file_bytes > h->file_bytes)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is too long: expected %llu bytes, found %llu",
                         name, (ull)h->file_bytes, (ull)file_bytes);
    return BISE_OK;
}

enum bise_status session_header_match(const struct session_header *h,
                                      const struct bise_model *model, const char *name,
                                      struct bise_error *err) {
    const struct model_config *c = &model->config;
    const uint64_t hash = session_model_hash(model);
    if (h->model_hash != hash || h->model_bytes != model->info.file_bytes)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s belongs to another model: expected %s (%016llx), found %s (%016llx)",
                         name, model->name, (ull)hash, h->model_name, (ull)h->model_hash);
    if (h->n_layers != c->n_layers || h->n_kv_heads != c->n_kv_heads ||
        h->head_dim != c->head_dim || h->vocab_size != c->vocab_size)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: its shape is not that of its model", name);
    return BISE_OK;
}
