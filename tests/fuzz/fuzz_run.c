/* Any bytes as a .bise file that is run: its length and the header's checksum are mended, then a
 * text is read, tokens are decoded, sampled and held to a grammar. What comes out are numbers,
 * or a status. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/model/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_PROMPT 11
#define N_ANSWER 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum bise_status status, const struct bise_error *err) {
    if (status != BISE_OK && (err->status != status || err->detail[0] == 0))
        abort();
}

/* Picks an id among those allowed, if there are any; -1. */
static int32_t pick(struct bise_sampler *sampler, struct bise_grammar *grammar, const float *logits,
                    const int32_t *ids, size_t n, uint32_t vocab, uint8_t *allowed) {
    struct bise_error err = {0};
    if (grammar && bise_grammar_allowed(grammar, allowed, &err) != BISE_OK)
        return -1;
    for (uint32_t i = 0; i < vocab; i++)
        if (!isfinite(logits[i]))
            abort();
    const int32_t id = bise_sample(sampler, logits, grammar ? allowed : NULL, ids, n, n);
    if (id < -1 || id >= (int32_t)vocab || (grammar && id >= 0 && !allowed[id]))
        abort();
    return id;
}

static void answer(struct bise_session *session, const struct bise_model *model, uint8_t how) {
    static const char gbnf[] = "root ::= [a-z ]{1,8} (\".\" | [0-9]+)";
    const uint32_t vocab = bise_model_info(model)->vocab_size;
    const struct bise_sampler_params params = {.temp = how & 1 ? 0.8f : 0,
                                               .top_k = how & 2 ? 5 : 0,
                                               .repeat_penalty = how & 4 ? 1.2f : 0,
                                               .repeat_last = 8,
                                               .seed = how};
    struct bise_error err = {0};
    struct bise_sampler *sampler = NULL;
    struct bise_grammar *grammar = NULL;
    uint8_t *const allowed = calloc(vocab, 1);
    int32_t ids[N_PROMPT + N_ANSWER];
    size_t n = 0;
    for (; n < N_PROMPT; n++)
        ids[n] = (int32_t)((n * 7 + how) % vocab);
    if (how & 8)
        check(bise_grammar_open(&grammar, model, gbnf, sizeof gbnf - 1, &err), &err);
    enum bise_status status = bise_sampler_open(&sampler, vocab, &params, &err);
    if (status == BISE_OK)
        status = bise_prefill(session, ids, n, NULL, NULL, &err);
    check(status, &err);
    for (int i = 0; i < N_ANSWER && status == BISE_OK && allowed; i++) {
        ids[n] = pick(sampler, grammar, bise_logits(session), ids, n, vocab, allowed);
        if (ids[n] < 0)
            break;
        if (grammar && bise_grammar_accept(grammar, ids[n], &err) != BISE_OK)
            break;
        status = bise_decode(session, ids[n++], &err);
        check(status, &err);
    }
    bise_grammar_close(&grammar);
    bise_sampler_close(&sampler);
    free(allowed);
}

static void run_file(const char *path, uint8_t how) {
    static const enum bise_kv kinds[] = {BISE_KV_AUTO, BISE_KV_I8, BISE_KV_F16, BISE_KV_F32,
                                         BISE_KV_I4};
    const struct bise_model_params mapped = {.memory = BISE_MEMORY_MMAP, .n_threads = 1};
    const struct bise_engine_params params = {.n_ctx = 32,
                                              .chunk = 8,
                                              .n_threads = 1,
                                              .window = how & 64 ? 16 : -1,
                                              .kv = kinds[how >> 4 & 3],
                                              .spare = BISE_SPARE_NONE};
    struct bise_model *model = NULL;
    struct bise_session *session = NULL;
    struct bise_error err = {0};
    enum bise_status status = bise_model_open(&model, path, &mapped, &err);
    if (status == BISE_OK)
        status = bise_session_open(&session, model, &params, &err);
    check(status, &err);
    if (status == BISE_OK)
        answer(session, model, how);
    bise_session_close(&session);
    bise_model_close(&model);
}

/* The last byte says how it is run; the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    uint64_t header_bytes;
    if (size < FORMAT_PREAMBLE + 1)
        return 0;
    const uint8_t how = data[--size];
    uint8_t *const copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    put_u64(copy + AT_FILE_BYTES, size);
    if (format_read_preamble(copy, size, size, "fuzz", &header_bytes, NULL) == BISE_OK &&
        header_bytes <= size) {
        put_u32(copy + AT_HEADER_CRC, 0);
        put_u32(copy + AT_HEADER_CRC, crc32c(0, copy, header_bytes));
        const int fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || write(fd, copy, size) != (ssize_t)size)
            abort();
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        run_file(path, how);
        close(fd);
    }
    free(copy);
    return 0;
}
