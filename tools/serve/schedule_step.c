/* Steps of the engine: the next token of every answer that is written, a chunk of the oldest
 * prompt, drafts for an answer that is alone, and what will come where nothing else is to do. */
#include "src/base/error.h"
#include "src/os/clock.h"
#include "tools/serve/schedule_impl.h"

#include <stdlib.h>

#define LEAST_CHUNK 16          /* of a prompt, beside answers that are being written */
#define SLOW_READER (1u << 20)  /* bytes that wait for one: its answer waits as well */
#define ALL_READERS (32u << 20) /* and for all */

/* ---- what is run ---- */

static bool reader_is_slow(struct call *c) {
    pthread_mutex_lock(&c->reply.lock);
    const bool slow = c->reply.is_stream && c->reply.out.len > SLOW_READER;
    pthread_mutex_unlock(&c->reply.lock);
    return slow;
}

/* How many ids of a prompt a step may read beside n writing sequences. */
static size_t chunk_beside(const struct schedule *s, size_t n_writing) {
    const size_t chunk = s->server->plan.chunk;
    if (!n_writing)
        return chunk;
    size_t n = LEAST_CHUNK;
    if (s->column_seconds > 0) {
        const double fit = 0.9e-3 * (double)s->server->options->stall_ms / s->column_seconds;
        n = fit > (double)n ? fit < (double)chunk ? (size_t)fit : chunk : n;
    }
    return n < chunk ? n : chunk;
}

/* Drafts are for an answer that is written alone; NULL: there is none. */
static void set_drafted(struct schedule *s, struct choice *ch) {
    if (s->drafted == ch)
        return;
    if (s->drafted)
        s->drafted->author.generator.speculation = NULL;
    s->drafted = ch;
    if (!ch || !s->drafts.max)
        return;
    speculation_begin(&s->drafts);
    ch->author.generator.speculation = &s->drafts;
}

/* The runs of the next step; returns how many. *reader: the lane that reads, whose run is the last,
 * or n_lanes. */
static size_t plan_step(struct schedule *s, uint32_t *reader) {
    const uint32_t n_lanes = s->server->n_lanes;
    const size_t chunk = s->server->plan.chunk;
    size_t n = 0;
    *reader = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        const struct sequence *q = &s->seqs[i];
        if (!q->choice || q->choice->author.generator.finish != FINISH_NONE)
            continue;
        if (!generator_reads(&q->choice->author.generator)) {
            if (!reader_is_slow(q->choice->call))
                s->runs[n++].seq = i;
        } else if (*reader == n_lanes || q->used < s->seqs[*reader].used) {
            *reader = i;
        }
    }
    const bool is_alone = n == 1 && *reader == n_lanes;
    set_drafted(s, is_alone ? s->seqs[s->runs[0].seq].choice : NULL);
    for (size_t i = 0; i < n; i++)
        generator_next(&s->seqs[s->runs[i].seq].choice->author.generator, is_alone ? chunk : 1,
                       &s->runs[i]);
    if (*reader != n_lanes) {
        struct choice *ch = s->seqs[*reader].choice;
        size_t most = chunk_beside(s, n);
        if (choice_wants_echo(ch) && most > SCHEDULE_ECHO_CHUNK)
            most = SCHEDULE_ECHO_CHUNK;
        generator_next(&ch->author.generator, most, &s->runs[n++]);
    }
    return n;
}

static void note_first(struct schedule *s, struct call *c) {
    struct metrics *m = &s->server->metrics;
    if (c->first > 0 || atomic_load(&c->is_gone))
        return;
    c->first = seconds_now();
    atomic_fetch_add(&m->first_token_us, (unsigned long)(1e6 * (c->first - c->arrived)));
    atomic_fetch_add(&m->first_tokens, 1);
}

static void take_run(struct schedule *s, const struct bise_run *r, double seconds) {
    struct sequence *q = &s->seqs[r->seq];
    struct choice *ch = q->choice;
    struct generator *g = &ch->author.generator;
    struct metrics *m = &s->server->metrics;
    struct bise_error err = {0};
    const bool reads = generator_reads(g);
    const int64_t n_picked = g->n_picked;
    enum bise_status status = generator_take(g, r, BISE_OK, seconds, &err);
    if (g->finish == FINISH_CONTEXT)
        generator_end(g, FINISH_CONTEXT);
    q->n_held = g->held;
    atomic_fetch_add(&m->written_tokens, (unsigned long)(g->n_picked - n_picked));
    if (reads && !status) {
        atomic_fetch_add(&m->read_tokens, r->n);
        if (!ch->index)
            atomic_fetch_add(&ch->call->n_read, r->n);
    }
    if (!status && author_failed(&ch->author))
        status = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the answer");
    if (status) {
        schedule_fail(s, ch->call, status, &err);
        return;
    }
    if (generator_reads(g))
        return;
    note_first(s, ch->call);
    if (g->finish == FINISH_NONE) {
        answer_advance(ch, &s->server->answer_facts);
        return;
    }
    ch->author.ending = author_ending(&ch->author);
    schedule_end_answer(s, r->seq);
}

/* Readers have let too much gather: one of the answers ends. */
static void shed_load(struct schedule *s) {
    struct bise_error err = {0};
    bise_fail(&err, BISE_ERR_MEMORY, "answers are read too slowly, and too much of them waits");
    for (uint32_t i = 0; i < s->server->n_lanes; i++)
        if (s->seqs[i].choice) {
            schedule_fail(s, s->seqs[i].choice->call, BISE_ERR_MEMORY, &err);
            return;
        }
}

/* A stop that came for this step, or too late for the last one, is over; but the end is not. */
static void lower_stop(struct server *server) {
    server_stop_step(server, 0);
    if (atomic_load(&server->stopping) > 1)
        server_stop_step(server, 1);
}

/* Runs what is planned. A client that leaves while its prompt alone is read ends the step. */
static enum bise_status run_step(struct schedule *s, size_t n, struct bise_error *err) {
    struct server *server = s->server;
    struct call *alone = n == 1 ? s->seqs[s->runs[0].seq].choice->call : NULL;
    atomic_store(&server->alone, alone);
    enum bise_status status = bise_step(server->engine, s->runs, n, &server->stop, err);
    atomic_store(&server->alone, NULL);
    lower_stop(server);
    for (size_t i = 0; i < n && status && status != BISE_ERR_INTERRUPTED; i++)
        schedule_fail(s, s->seqs[s->runs[i].seq].choice->call, status, err);
    return status;
}

bool schedule_step(struct schedule *s) {
    struct metrics *m = &s->server->metrics;
    struct bise_error err = {0};
    uint32_t reader;
    const size_t n = plan_step(s, &reader);
    if (!n)
        return false;
    const double start = seconds_now();
    const enum bise_status status = run_step(s, n, &err);
    if (status)
        return true;
    const double seconds = seconds_now() - start;
    if (reader != s->server->n_lanes) {
        const double now = seconds / (double)s->runs[n - 1].n;
        const double before = 0.7 * s->column_seconds + 0.3 * now;
        s->column_seconds = before > now ? before : now; /* it grows with the depth */
    }
    atomic_fetch_add(&m->steps, 1);
    atomic_fetch_add(&m->step_us, (unsigned long)(1e6 * seconds));
    for (size_t i = 0; i < n; i++)
        take_run(s, &s->runs[i], seconds);
    if (call_waiting_bytes() > ALL_READERS)
        shed_load(s);
    server_wake(s->server);
    return true;
}

/* ---- when nothing else is to be done ---- */

bool schedule_read_foreseen(struct schedule *s) {
    for (uint32_t i = 0; i < s->server->n_lanes; i++) {
        struct sequence *q = &s->seqs[i];
        if (q->choice || !q->foreseen)
            continue;
        const size_t common = common_ids(q->ids.ids, q->n_held, q->foreseen, q->n_foreseen);
        const bool back = common < q->n_held;
        if (common == q->n_foreseen || (back && common < q->n_foreseen / 2) ||
            (back && bise_seq_truncate(s->server->engine, i, common, NULL) != BISE_OK)) {
            free(q->foreseen);
            q->foreseen = NULL;
            continue;
        }
        const size_t left = q->n_foreseen - common;
        struct bise_run r = {
            .seq = i, .ids = q->foreseen + common, .n = left < LEAST_CHUNK ? left : LEAST_CHUNK};
        if (!sequence_set(q, q->foreseen, q->n_foreseen, common) ||
            bise_step(s->server->engine, &r, 1, &s->server->stop, NULL) || r.status) {
            lower_stop(s->server);
            free(q->foreseen);
            q->foreseen = NULL;
            continue;
        }
        q->n_held += r.n;
        atomic_fetch_add(&s->server->metrics.read_tokens, r.n);
        return true;
    }
    return false;
}
