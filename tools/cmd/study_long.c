/* bise study long: a text without end through the rolling cache. Read over and over, with some
 * tokens written in between; memory and speed are looked at on the way, and stay where they are. */
#include "tools/cmd/study.h"

#include "src/os/clock.h"
#include "src/os/mem.h"
#include "tools/common/buffer.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TOKENS 100000
#define POINTS         20
#define WRITTEN        16 /* tokens at each point */

struct point {
    uint64_t position, resident; /* bytes, of the whole process */
    double read, write;          /* tokens per second since the point before */
};

struct long_study {
    const struct study *s;
    struct bise_session *session;
    struct point points[POINTS];
    size_t n, total, next; /* next: of the text's ids */
};

/* Reads n tokens of the text, which begins anew when it ends, and writes some. */
static enum bise_status go_on(struct long_study *l, size_t n, struct point *p,
                              struct bise_error *err) {
    enum bise_status s = BISE_OK;
    const double begun = seconds_now();
    for (size_t done = 0, len; done < n && !s; done += len) {
        const size_t left = l->s->n - l->next;
        len = n - done < left ? n - done : left;
        s = bise_prefill(l->session, l->s->ids + l->next, len, NULL, NULL, err);
        l->next = (l->next + len) % l->s->n;
    }
    const double read = seconds_now();
    for (size_t i = 0; i < WRITTEN && !s; i++) {
        const float *const logits = bise_logits(l->session);
        size_t best = 0;
        for (size_t id = 1; id < l->s->e.info->vocab_size; id++)
            best = logits[id] > logits[best] ? id : best;
        s = bise_decode(l->session, (int32_t)best, err);
    }
    *p = (struct point){.position = bise_position(l->session),
                        .resident = mem_resident(),
                        .read = (double)n / (read - begun),
                        .write = WRITTEN / (seconds_now() - read)};
    return s;
}

static double mebibytes(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

static void print_table(const struct long_study *l) {
    const struct bise_plan *const plan = bise_session_plan(l->session);
    uint64_t least = UINT64_MAX, most = 0;
    print("%s: window %u, ring of %u positions, cache %.1f MiB\n\n", l->s->e.path, plan->window,
          plan->ring, mebibytes(plan->cache));
    print("position   resident memory       reading       writing\n");
    for (size_t i = 0; i < l->n; i++) {
        const struct point *const p = &l->points[i];
        print("%8llu  %12.1f MiB  %8.1f t/s  %8.1f t/s\n", (unsigned long long)p->position,
              mebibytes(p->resident), p->read, p->write);
        least = p->resident < least ? p->resident : least;
        most = p->resident > most ? p->resident : most;
    }
    print("\nresident memory from the first point to the last: %.1f to %.1f MiB\n",
          mebibytes(least), mebibytes(most));
}

static void print_json(const struct long_study *l) {
    const struct bise_plan *const plan = bise_session_plan(l->session);
    struct buffer b = {0};
    study_begin_json(&b, "long", l->s->e.path);
    buffer_print(&b, ",\"window\":%u,\"ring\":%u,\"cache_bytes\":%llu,\"points\":[", plan->window,
                 plan->ring, (unsigned long long)plan->cache);
    for (size_t i = 0; i < l->n; i++)
        buffer_print(&b,
                     "%s{\"position\":%llu,\"resident_bytes\":%llu,\"read_tokens_per_second\":%.6g,"
                     "\"write_tokens_per_second\":%.6g}",
                     i ? "," : "", (unsigned long long)l->points[i].position,
                     (unsigned long long)l->points[i].resident, l->points[i].read,
                     l->points[i].write);
    buffer_text(&b, "]");
    study_end_json(&b);
}

int study_long(struct study *s) {
    struct long_study l = {.s = s, .total = s->tokens ? (size_t)s->tokens : DEFAULT_TOKENS};
    const size_t each = l.total / POINTS;
    struct bise_error err = {0};
    struct progress progress;
    if (s->n == 0 || each <= WRITTEN)
        return refuse(EXIT_INPUT, "expected a text, and at least %d tokens",
                      POINTS * (WRITTEN + 1));
    enum bise_status status = bise_session_open(&l.session, s->e.model, &s->params, &err);
    if (!status && bise_session_plan(l.session)->window == 0) {
        bise_session_close(&l.session);
        return refuse(EXIT_USAGE, "%s has no window: expected --window N", s->e.path);
    }
    if (!status)
        bise_session_stop_on(l.session, interrupt_word());
    progress_begin(&progress, "reading");
    progress.no_rate = true;
    for (; l.n < POINTS && !status; l.n++) {
        progress_show(&progress, l.n * each, l.total);
        status = go_on(&l, each - WRITTEN, &l.points[l.n], &err);
    }
    progress_end(&progress);
    const int code = status ? report(status, &err) : EXIT_DONE;
    if (!code)
        (s->json ? print_json : print_table)(&l);
    bise_session_close(&l.session);
    return code;
}
