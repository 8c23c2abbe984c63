/* Any bytes as a session's file: as they are, and with the checksums and the model's marks mended,
 * so that the rules behind them are reached. What is loaded can be gone on with. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/store/session_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bise_model *model;
static struct bise_session *sessions[BISE_KV_COUNT]; /* by type of the cache */

static void open_all(void) {
    if (bise_model_open(&model, "tests/data/format/example.bise", NULL, NULL) != BISE_OK)
        abort();
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++) {
        const struct bise_engine_params params = {
            .n_ctx = 64, .chunk = 16, .n_threads = 1, .window = -1, .kv = kv};
        if (bise_session_open(&sessions[kv], model, &params, NULL) != BISE_OK)
            abort();
    }
}

static void load(const uint8_t *data, size_t size) {
    struct bise_error err = {0};
    char path[64];
    const uint32_t kv = size > S_KV ? data[S_KV] : 0;
    struct bise_session *const session =
        sessions[kv >= BISE_KV_I8 && kv < BISE_KV_COUNT ? kv : BISE_KV_I8];
    void *note = NULL;
    size_t len;
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const bool has_note = bise_session_note(model, path, &note, &len, &err) == BISE_OK;
    free(note);
    uint64_t seed;
    if (bise_session_load(session, &seed, path, &err) == BISE_OK) {
        const float *const logits = bise_logits(session);
        const int32_t id = logits && logits[0] > 0;
        if (!has_note || bise_position(session) > (uint64_t)1 << 51)
            abort();
        (void)bise_decode(session, id, NULL); /* sound numbers may still overflow in the sum */
    } else if (err.detail[0] == 0) {
        abort();
    }
    close(fd);
}

/* Puts the CRC of [from, to) behind it, if that lies within the file. */
static void mend_part(uint8_t *data, size_t size, uint64_t from, uint64_t to) {
    if (from <= to && to <= size && size - to >= 4)
        put_u32(data + to, crc32c(0, data + from, (size_t)(to - from)));
}

static void mend(uint8_t *data, size_t size) {
    const struct bise_model_info *info = bise_model_info(model);
    struct session_header h;
    memcpy(data, SESSION_MAGIC, 8);
    put_u32(data + S_VERSION, SESSION_VERSION);
    put_u64(data + S_FILE_BYTES, size);
    put_u64(data + S_MODEL_HASH, session_model_hash(model));
    put_u32(data + S_ARITHMETIC, SESSION_ARITHMETIC);
    put_u32(data + S_N_LAYERS, info->n_layers);
    put_u32(data + S_N_KV_HEADS, info->n_kv_heads);
    put_u32(data + S_HEAD_DIM, info->head_dim);
    put_u32(data + S_VOCAB_SIZE, info->vocab_size);
    put_u32(data + S_HEADER_CRC, 0);
    put_u32(data + S_HEADER_CRC, crc32c(0, data, SESSION_HEADER));
    if (session_header_read(&h, data, size, "fuzz", NULL) != BISE_OK)
        return;
    const uint64_t logits = h.flags & SESSION_HAS_LOGITS ? h.vocab_size : 0;
    const uint64_t state = 4 * (h.n_ids + logits);
    const uint64_t cache = SESSION_HEADER + h.note_bytes + 4;
    mend_part(data, size, SESSION_HEADER, SESSION_HEADER + h.note_bytes);
    mend_part(data, size, cache, size - state - 8);
    mend_part(data, size, size - state - 4, size - 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!model)
        open_all();
    load(data, size);
    if (size < SESSION_HEADER)
        return 0;
    uint8_t *const copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    mend(copy, size);
    load(copy, size);
    free(copy);
    return 0;
}
