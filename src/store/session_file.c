/* Reader of untrusted headers; tests/fuzz/fuzz_session.c feeds it. */
#include "src/store/session_file.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/engine/plan.h"
#include "src/model/format.h"
#include "src/os/mem.h"

typedef unsigned long long ull; /* for %llu */

/* ---- which model ---------------------------------------------------------------------------- */

#define FNV_BEGIN 0xcbf29ce484222325u

/* FNV-1a, going on from hash. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
    const uint8_t *const bytes = data;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_u32(uint64_t hash, uint32_t x) {
    uint8_t bytes[4];
    put_u32(bytes, x);
    return hash_bytes(hash, bytes, sizeof bytes);
}

static uint64_t hash_config(uint64_t hash, const struct model_config *c) {
    const uint32_t numbers[] = {
        c->dim,     c->n_layers,   c->n_heads,   c->n_kv_heads,     c->head_dim,
        c->ffn_dim, c->vocab_size, c->n_experts, c->n_experts_used, c->tied_head};
    uint8_t rest[12];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash = hash_u32(hash, numbers[i]);
    put_f32(rest, c->norm_eps);
    put_f64(rest + 4, c->rope_theta);
    return hash_bytes(hash, rest, sizeof rest);
}

static uint64_t hash_tensor(uint64_t hash, const struct tensor *t) {
    hash = hash_bytes(hash, t->name, strnlen(t->name, sizeof t->name) + 1);
    hash = hash_u32(hash, t->type);
    hash = hash_u32(hash, t->rows);
    hash = hash_u32(hash, t->cols);
    hash = hash_u32(hash, t->crc);
    return t->type == TYPE_I4 ? hash_bytes(hash, t->codebook, sizeof t->codebook) : hash;
}

uint64_t session_model_hash(const struct bise_model *model) {
    uint64_t hash = hash_config(FNV_BEGIN, &model->config);
    for (size_t i = 0; i < model->n_tensors; i++)
        hash = hash_tensor(hash, &model->tensors[i]);
    for (uint32_t i = 0; i < model->config.vocab_size && model->tokenizer; i++) {
        size_t n = 0;
        const char *const piece = bise_token_piece(model, (int32_t)i, &n);
        hash = hash_u32(hash, (uint32_t)n);
        hash = hash_bytes(hash, piece, n);
    }
    return hash;
}

uint64_t session_model_hash_1(const struct bise_model *model) {
    return hash_bytes(FNV_BEGIN, model->map, (size_t)get_u64(model->map + AT_HEADER_BYTES));
}

/* ---- the header ----------------------------------------------------------------------------- */

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
    const size_t logits = h->flags & SESSION_HAS_LOGITS ? h->vocab_size : 0;
    const size_t state = 4 * (h->n_ids + logits);
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
    put_u64(out + S_SEED, h->seed);
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
    put_u32(out + S_ARITHMETIC, h->arithmetic);
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
    if (version < 1 || version > SESSION_VERSION)
        return bise_fail(err, version > SESSION_VERSION ? BISE_ERR_UNSUPPORTED : BISE_ERR_FORMAT,
                         "%s has session version %u; this program reads versions 1 and %u", name,
                         version, SESSION_VERSION);
    if (!crc_is_right(data))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: the header is damaged: wrong CRC", name);
    return BISE_OK;
}

static void read_fields(struct session_header *h, const uint8_t *data) {
    *h = (struct session_header){
        .version = get_u32(data + S_VERSION),
        .file_bytes = get_u64(data + S_FILE_BYTES),
        .model_hash = get_u64(data + S_MODEL_HASH),
        .seed = get_u64(data + S_SEED),
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
        .arithmetic = get_u32(data + S_ARITHMETIC),
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

/* Ranges that hold for any model, so that sums of them cannot overflow. Of format 1 all that
 * matters is where the note is. */
static bool in_range(const struct session_header *h) {
    const uint64_t last = 2 * MAX_START_POSITION;
    if (h->note_bytes > SESSION_NOTE_MAX || h->version == 1)
        return h->note_bytes <= SESSION_NOTE_MAX;
    return h->kv >= BISE_KV_I8 && h->kv < BISE_KV_COUNT && h->window <= MAX_CONTEXT &&
           h->n_layers >= 1 && h->n_layers <= MAX_LAYERS && h->n_kv_heads >= 1 &&
           h->n_kv_heads <= MAX_DIM && h->head_dim >= 1 && h->head_dim <= MAX_HEAD_DIM &&
           h->vocab_size >= 1 && h->vocab_size <= MAX_VOCAB && h->pos <= last &&
           h->first <= h->pos && h->start_pos <= h->first && h->n_ids <= MAX_CONTEXT &&
           h->n_ids <= h->pos - h->start_pos && (h->flags & ~SESSION_HAS_LOGITS) == 0 &&
           h->n_sinks <= MAX_CONTEXT && h->n_sinks % ATTN_GROUP == 0;
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
    if (!in_range(h) ||
        (h->version > 1 && (!session_file_bytes(h, &expected) || expected != h->file_bytes)))
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
    const bool old = h->version == 1;
    const uint64_t hash = old ? session_model_hash_1(model) : session_model_hash(model);
    if (h->model_hash != hash || (old && h->seed != model->info.file_bytes))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s belongs to another model: expected %s (%016llx), found %s (%016llx)",
                         name, model->name, (ull)hash, h->model_name, (ull)h->model_hash);
    if (old)
        return BISE_OK;
    if (h->n_layers != c->n_layers || h->n_kv_heads != c->n_kv_heads ||
        h->head_dim != c->head_dim || h->vocab_size != c->vocab_size)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: its shape is not that of its model", name);
    return BISE_OK;
}
