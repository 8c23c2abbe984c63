/* bise study chunk: a long text read in chunks of different lengths: time, memory, and that the
 * answer has the same bits by any of them. */
#include "tools/cmd/study.h"

#include "src/base/crc32c.h"
#include "src/os/clock.h"
#include "tools/common/buffer.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TOKENS 4096

static const uint32_t chunks[] = {16, 32, 64, 128, 256, 512, 1024};
#define N_CHUNKS (sizeof chunks / sizeof *chunks)

struct chunk_figures {
    uint32_t chunk;
    struct bise_plan plan;
    double rate;   /* tokens per second */
    uint32_t bits; /* CRC32C of the last logits */
};

static enum bise_status measure(const struct study *s, size_t n, uint32_t chunk,
                                struct chunk_figures *f, struct bise_error *err) {
    struct bise_engine_params params = s->params;
    struct bise_session *session = NULL;
    params.chunk = f->chunk = chunk;
    params.n_ctx = (uint32_t)n;
    params.spare = BISE_SPARE_NONE;
    enum bise_status status = bise_session_open(&session, s->e.model, &params, err);
    if (!status) {
        const double begun = seconds_now();
        bise_session_stop_on(session, interrupt_word());
        f->plan = *bise_session_plan(session);
        status = bise_prefill(session, s->ids, n, NULL, NULL, err);
        f->rate = (double)n / (seconds_now() - begun);
    }
    if (!status)
        f->bits = crc32c(0, bise_logits(session), s->e.info->vocab_size * sizeof(float));
    bise_session_close(&session);
    return status;
}

static double mebibytes(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

static void print_table(const struct study *s, size_t n_tokens, const struct chunk_figures *f,
                        size_t n, bool same) {
    print("%s: %zu tokens read\n\n", s->e.path, n_tokens);
    print("   chunk      reading       cache     scratch  last logits\n");
    for (size_t i = 0; i < n; i++)
        print("%8u  %7.1f t/s  %6.1f MiB  %6.1f MiB  %08x\n", f[i].chunk, f[i].rate,
              mebibytes(f[i].plan.cache), mebibytes(f[i].plan.scratch), f[i].bits);
    print("\n%s  the same bits by every chunk\n", same ? "holds " : "NOT SO");
}

static void print_json(const struct study *s, size_t n_tokens, const struct chunk_figures *f,
                       size_t n, bool same) {
    struct buffer b = {0};
    study_begin_json(&b, "chunk", s->e.path);
    buffer_print(&b, ",\"tokens\":%zu,\"same_bits\":%s,\"chunks\":[", n_tokens,
                 same ? "true" : "false");
    for (size_t i = 0; i < n; i++)
        buffer_print(&b,
                     "%s{\"chunk\":%u,\"tokens_per_second\":%.6g,\"cache_bytes\":%llu,"
                     "\"scratch_bytes\":%llu,\"logits\":\"%08x\"}",
                     i ? "," : "", f[i].chunk, f[i].rate, (unsigned long long)f[i].plan.cache,
                     (unsigned long long)f[i].plan.scratch, f[i].bits);
    buffer_text(&b, "]");
    study_end_json(&b);
}

int study_chunk(struct study *s) {
    const size_t most = s->tokens ? (size_t)s->tokens : DEFAULT_TOKENS;
    const size_t n_tokens = s->n < most ? s->n : most;
    struct chunk_figures figures[N_CHUNKS];
    struct bise_error err = {0};
    enum bise_status status = BISE_OK;
    struct progress progress;
    size_t n = 0;
    bool same = true;
    if (n_tokens < 64)
        return refuse(EXIT_INPUT, "expected a text of at least 64 tokens, found %zu", n_tokens);
    progress_begin(&progress, "reading");
    progress.no_rate = true;
    for (; n < N_CHUNKS && !status && (n == 0 || chunks[n] <= n_tokens); n++) {
        progress_show(&progress, n, N_CHUNKS);
        status = measure(s, n_tokens, chunks[n], &figures[n], &err);
        same = same && figures[n].bits == figures[0].bits;
    }
    progress_end(&progress);
    if (status)
        return report(status, &err);
    (s->json ? print_json : print_table)(s, n_tokens, figures, n, same);
    return same ? EXIT_DONE : EXIT_FAILED;
}
