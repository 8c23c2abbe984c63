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

static bool is_writing(const struct sequence *q) {
    return q->choice->n_ids > q->choice->n_prompt;
}

/* How many ids of a prompt a step may read beside n writing sequences. */
static size_t chunk_beside(const struct schedule *s, size_t n_writing) {
    const size_t chunk = s->server->plan.chunk;
    if (!n_writing)
        return chunk;
    size_t n = LEAST_CHUNK;
    if (s->column_seconds > 0) {
        const double fit = 1e-3 * (double)s->server->options->stall_ms / s->column_seconds;
        n = fit > (double)n ? fit < (double)chunk ? (size_t)fit : chunk : n;
    }
    return n < chunk ? n : chunk;
}

static struct bise_run run_of(struct schedule *s, uint32_t lane, size_t most) {
    const struct sequence *q = &s->seqs[lane];
    const struct choice *ch = q->choice;
    const size_t left = ch->n_ids - q->n_held;
    struct bise_run r = {.seq = lane, .ids = ch->ids + q->n_held, .n = left < most ? left : most};
    if (choice_wants_echo(ch) && !is_writing(q)) {
        r.n = r.n < SCHEDULE_ECHO_CHUNK ? r.n : SCHEDULE_ECHO_CHUNK;
        r.logits = s->echo_logits;
    }
    r.want = r.logits ? BISE_WANT_ALL : r.n == left ? BISE_WANT_LAST : BISE_WANT_NONE;
    return r;
}

/* The runs of the next step; returns how many. *reader: the lane that reads, or n_lanes. */
static size_t plan_step(struct schedule *s, uint32_t *reader) {
    const uint32_t n_lanes = s->server->n_lanes;
    size_t n = 0;
    *reader = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        const struct sequence *q = &s->seqs[i];
        if (!q->choice)
            continue;
        if (!is_writing(q)) {
            if (*reader == n_lanes || q->used < s->seqs[*reader].used)
                *reader = i;
        } else if (!reader_is_slow(q->choice->call)) {
            s->runs[n++] = run_of(s, i, 1);
        }
    }
    if (*reader != n_lanes) {
        s->runs[n] = run_of(s, *reader, chunk_beside(s, n));
        n++;
    }
    return n;
}

/* Logprobs of the prompt's tokens: position i foretells id i + 1. */
static void score_prompt(struct schedule *s, struct choice *ch, const struct bise_run *r) {
    const struct server *server = s->server;
    const size_t vocab = server->info->vocab_size, base = ch->n_scored;
    struct logprobs *l = &ch->author.logprobs;
    if (!base && ch->ids[0] != server->info->bos_id)
        logprobs_put(l, server->model, NULL, ch->ids[0], 0);
    for (size_t i = 0; i < r->n && base + i + 1 < ch->n_prompt; i++)
        logprobs_put(l, server->model, r->logits + i * vocab, ch->ids[base + i + 1],
                     ch->call->request.top_logprobs);
    ch->n_scored += r->n;
}

static bool append_id(struct choice *ch, int32_t id) {
    if (ch->n_ids == ch->cap_ids) {
        int32_t *grown = realloc(ch->ids, 2 * ch->cap_ids * sizeof *grown);
        if (!grown)
            return false;
        ch->ids = grown;
        ch->cap_ids *= 2;
    }
    ch->ids[ch->n_ids++] = id;
    return true;
}

/* The choice's next id, from the logits of the last one. */
static enum bise_status write_next(struct schedule *s, struct choice *ch, const float *logits,
                                   struct bise_error *err) {
    struct author *g = &ch->author;
    struct server *server = s->server;
    int32_t id;
    if (!g->max_tokens) {
        author_end(g, ENDING_LENGTH);
        return BISE_OK;
    }
    const enum bise_status status =
        author_pick(g, logits, ch->ids, ch->n_ids, s->allowed, &id, err);
    if (status)
        return status;
    if (s->drafted == ch)
        speculation_judge(&s->drafts, id);
    if (!append_id(ch, id) || !author_take(g, id))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the answer");
    atomic_fetch_add(&server->metrics.written_tokens, 1);
    if (g->ending == ENDING_NONE && ch->n_ids >= server->prompter.limit &&
        ch->call->request.full != FULL_SINK)
        author_end(g, ENDING_LENGTH);
    return BISE_OK;
}

static void note_first(struct schedule *s, struct call *c) {
    struct metrics *m = &s->server->metrics;
    if (c->first > 0)
        return;
    c->first = seconds_now();
    atomic_fetch_add(&m->first_token_us, (unsigned long)(1e6 * (c->first - c->arrived)));
    atomic_fetch_add(&m->first_tokens, 1);
}

/* The choice goes on by the logits of its last id. False: it has ended, or its call failed. */
static bool advance(struct schedule *s, uint32_t lane, const float *logits) {
    struct choice *ch = s->seqs[lane].choice;
    struct bise_error err = {0};
    if (ch->n_ids == ch->n_prompt && ch->call->request.echo)
        answer_echo(ch);
    const enum bise_status status = write_next(s, ch, logits, &err);
    if (status) {
        schedule_fail(s, ch->call, status, &err);
        return false;
    }
    note_first(s, ch->call);
    if (ch->author.ending != ENDING_NONE)
        return false;
    answer_advance(ch, &s->server->answer_facts);
    return true;
}

/* The answer that is written alone may be ahead of itself: a draft is run with its last id. */
static void add_draft(struct schedule *s) {
    struct bise_run *r = &s->runs[0];
    struct choice *ch = s->seqs[r->seq].choice;
    const size_t left = s->server->prompter.limit - ch->n_ids;
    const struct id_list text = {.ids = ch->ids, .n = ch->n_ids};
    if (s->drafted != ch)
        speculation_begin(&s->drafts);
    s->drafted = ch;
    if (s->drafts.max && !s->no_draft && left > 1)
        speculation_draft(&s->drafts, &text, r,
                          left < s->server->plan.chunk ? left : s->server->plan.chunk);
    s->no_draft = false;
}

/* Goes on through a run's ids as far as they are what the answer came to; r->ids[0] is its last. */
static void take_draft(struct schedule *s, const struct bise_run *r) {
    struct sequence *q = &s->seqs[r->seq];
    struct choice *ch = q->choice;
    const size_t vocab = s->server->info->vocab_size;
    size_t i = 0;
    bool good = sequence_hold(q, r->ids, 1);
    while (good && advance(s, r->seq, r->logits + i * vocab) && i + 1 < r->n &&
           r->ids[i + 1] == ch->ids[ch->n_ids - 1]) {
        i++;
        good = sequence_hold(q, r->ids + i, 1);
    }
    if (i + 1 < r->n && bise_seq_truncate(s->server->engine, r->seq, q->n_held, NULL) != BISE_OK)
        q->n_held = 0; /* never: what is run ahead is within what the ring always holds */
    if (ch->author.ending != ENDING_NONE)
        schedule_end_answer(s, r->seq);
}

static void take_run(struct schedule *s, const struct bise_run *r) {
    struct sequence *q = &s->seqs[r->seq];
    struct choice *ch = q->choice;
    enum bise_status status = r->status;
    struct bise_error err = {0};
    if (is_writing(q) && r->n > 1) {
        s->no_draft = status != BISE_OK; /* it may be nonsense to the model */
        if (!status)
            take_draft(s, r);
        return;
    }
    if (!status && !sequence_hold(q, r->ids, r->n))
        status = BISE_ERR_MEMORY;
    if (status == BISE_ERR_CONTEXT && is_writing(q)) {
        author_end(&ch->author, ENDING_LENGTH);
        schedule_end_answer(s, r->seq);
        return;
    }
    if (status) {
        schedule_fail(s, ch->call, status, &err);
        return;
    }
    if (!is_writing(q)) {
        atomic_fetch_add(&s->server->metrics.read_tokens, r->n);
        if (!ch->index)
            atomic_fetch_add(&ch->call->n_read, r->n);
    }
    if (r->want == BISE_WANT_ALL)
        score_prompt(s, ch, r);
    if (q->n_held < ch->n_ids)
        return;
    advance(s, r->seq, bise_seq_logits(s->server->engine, r->seq));
    if (ch->author.ending != ENDING_NONE)
        schedule_end_answer(s, r->seq);
}

static bool have_echo_memory(struct schedule *s, uint32_t reader) {
    if (reader == s->server->n_lanes || !choice_wants_echo(s->seqs[reader].choice) ||
        s->echo_logits)
        return true;
    s->echo_logits =
        malloc(SCHEDULE_ECHO_CHUNK * sizeof *s->echo_logits * s->server->info->vocab_size);
    return s->echo_logits != NULL;
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

/* Runs what is planned. A client that leaves while its prompt alone is read ends the step. */
static enum bise_status run_step(struct schedule *s, size_t n, struct bise_error *err) {
    struct server *server = s->server;
    struct call *alone = n == 1 ? s->seqs[s->runs[0].seq].choice->call : NULL;
    atomic_store(&server->alone, alone);
    enum bise_status status = bise_step(server->engine, s->runs, n, &server->stop, err);
    atomic_store(&server->alone, NULL);
    if (atomic_load(&server->stopping) < 2)
        server_stop_step(server, 0);
    for (size_t i = 0; i < n && status && status != BISE_ERR_INTERRUPTED; i++)
        schedule_fail(s, s->seqs[s->runs[i].seq].choice->call, status, err);
    return status;
}

bool schedule_step(struct schedule *s) {
    struct metrics *m = &s->server->metrics;
    struct bise_error err = {0};
    uint32_t reader;
    size_t n = plan_step(s, &reader);
    if (!n)
        return false;
    if (!have_echo_memory(s, reader)) {
        schedule_fail(s, s->seqs[reader].choice->call, BISE_ERR_MEMORY, &err);
        return true;
    }
    n = plan_step(s, &reader); /* with that memory */
    const bool is_alone = n == 1 && reader == s->server->n_lanes;
    if (is_alone)
        add_draft(s);
    const double start = seconds_now();
    const enum bise_status status = run_step(s, n, &err);
    if (status)
        return true;
    const double seconds = seconds_now() - start;
    if (reader != s->server->n_lanes) {
        const double now = seconds / (double)s->runs[n - 1].n;
        s->column_seconds = s->column_seconds > 0 ? 0.7 * s->column_seconds + 0.3 * now : now;
    }
    if (is_alone)
        speculation_timed(&s->drafts, s->runs[0].n, seconds);
    atomic_fetch_add(&m->steps, 1);
    atomic_fetch_add(&m->step_us, (unsigned long)(1e6 * seconds));
    for (size_t i = 0; i < n; i++)
        take_run(s, &s->runs[i]);
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
        const size_t common = common_ids(q->held, q->n_held, q->foreseen, q->n_foreseen);
        const bool back = common < q->n_held;
        if (common == q->n_foreseen || (back && common < q->n_foreseen / 2) ||
            (back && bise_seq_truncate(s->server->engine, i, common, NULL) != BISE_OK)) {
            free(q->foreseen);
            q->foreseen = NULL;
            continue;
        }
        q->n_held = common;
        const size_t left = q->n_foreseen - common;
        struct bise_run r = {
            .seq = i, .ids = q->foreseen + common, .n = left < LEAST_CHUNK ? left : LEAST_CHUNK};
        if (bise_step(s->server->engine, &r, 1, &s->server->stop, NULL) || r.status ||
            !sequence_hold(q, r.ids, r.n)) {
            free(q->foreseen);
            q->foreseen = NULL;
        }
        atomic_fetch_add(&s->server->metrics.read_tokens, r.n);
        return true;
    }
    return false;
}
