#include "tools/serve/schedule.h"

#include "src/base/error.h"
#include "src/os/clock.h"
#include "tools/common/speculate.h"
#include "tools/serve/judge.h"
#include "tools/serve/prepare.h"
#include "tools/serve/sequences.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ECHO_CHUNK    32 /* columns of a prompt whose logprobs are wanted */
#define LEAST_CHUNK   16 /* of a prompt, beside answers that are being written */
#define LONGEST_DRAFT 10
#define SLOW_READER   (1u << 20)  /* bytes that wait for one: its answer waits as well */
#define ALL_READERS   (32u << 20) /* and for all */

enum event_kind { EVENT_CALL, EVENT_JUDGED, EVENT_FORESEEN };

struct event {
    struct event *next;
    enum event_kind kind;
    struct call *call;
    struct choice *choice;
    bool filtered;
    uint32_t lane;
    uint64_t stamp;
    int32_t *ids; /* [n] */
    size_t n;
};

struct schedule {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct event *first, *last; /* guarded */
    bool closing, poked;        /* guarded */

    struct sequence *seqs;            /* [n_lanes] */
    struct bise_run *runs;            /* [n_lanes] */
    struct choice *waiting;           /* in the order of their arrival */
    uint64_t served[ACCESS_MAX_KEYS]; /* when a key was given a sequence last */
    uint64_t clock;
    uint8_t *allowed;             /* [vocab_size] */
    float *echo_logits;           /* [ECHO_CHUNK][vocab_size]; NULL until it is wanted */
    double column_seconds;        /* of a prompt's token in a step; 0: not known */
    struct speculation drafts;    /* of an answer that is written alone */
    const struct choice *drafted; /* whose they are */
    bool no_draft;                /* the last one failed: the next step is without */
};

/* ---- ends ---- */

/* All of the call's choices have ended. */
static void finish_call(struct schedule *s, struct call *c) {
    for (uint32_t i = 0; i < c->n_choices; i++)
        c->n_answer += c->choices[i].author.n_tokens;
    c->n_prompt = c->prompt.n;
    c->n_cached = c->choices[0].n_cached;
    if (!atomic_load(&c->is_gone))
        answer_finish(c, &s->server->answer_facts);
    server_release(s->server, c);
}

static void end_choice(struct schedule *s, struct choice *ch) {
    answer_end_choice(ch, &s->server->answer_facts);
    if (ch->call->n_ended == ch->call->n_choices)
        finish_call(s, ch->call);
    else
        server_wake(s->server);
}

/* The choice will not be finished. */
static void abandon(struct schedule *s, struct choice *ch) {
    ch->has_ended = true;
    if (++ch->call->n_ended == ch->call->n_choices)
        finish_call(s, ch->call);
}

/* The whole call ends by a fault; its other choices follow when they are looked at. */
static void fail_call(struct schedule *s, struct call *c, enum bise_status status,
                      const struct bise_error *err) {
    struct fault f;
    fault_of_status(&f, NULL, status, err);
    f.status = f.status == 400 ? 500 : f.status;
    call_fail(c, &f);
    atomic_store(&c->is_gone, true);
    server_wake(s->server);
}

/* What the next prompt will begin with is asked for. */
static void ask_to_foresee(struct schedule *s, uint32_t lane, const struct choice *ch) {
    const struct sequence *q = &s->seqs[lane];
    const enum ending ending = ch->author.ending;
    const bool calls = ending == ENDING_CALLS;
    const struct tool_text *history = &ch->history;
    if (ending != ENDING_STOP && !calls)
        return;
    const char *bytes = calls ? history->text : ch->text.bytes;
    const size_t len = calls ? history->len : ch->text.len;
    char *text = malloc(len + 2);
    if (!text)
        return;
    memcpy(text, bytes ? bytes : "", len);
    if (calls)
        text[len] = ']';
    call_hold(ch->call);
    prepare_foresee(s->server, ch->call, text, len + calls, calls, lane, q->used);
}

/* The sequence is free again. */
static struct choice *leave(struct schedule *s, uint32_t lane) {
    struct choice *ch = s->seqs[lane].choice;
    s->seqs[lane].choice = NULL;
    author_rest(&ch->author);
    s->drafted = s->drafted == ch ? NULL : s->drafted;
    atomic_fetch_sub(&s->server->metrics.busy, 1);
    return ch;
}

static void end_answer(struct schedule *s, uint32_t lane) {
    struct choice *ch = leave(s, lane);
    ask_to_foresee(s, lane, ch);
    if (!s->server->judge) {
        end_choice(s, ch);
        return;
    }
    answer_advance(ch, &s->server->answer_facts);
    judge_put_answer(s->server, ch);
}

/* ---- what comes in ---- */

static void queue_choices(struct schedule *s, struct call *c) {
    struct choice **end = &s->waiting;
    while (*end)
        end = &(*end)->next;
    for (uint32_t i = 0; i < c->n_choices; i++) {
        *end = &c->choices[i];
        end = &c->choices[i].next;
    }
    *end = NULL;
    atomic_fetch_add(&s->server->metrics.queued, c->n_choices);
}

static void take_foreseen(struct schedule *s, struct event *e) {
    struct sequence *q = &s->seqs[e->lane];
    if (q->choice || q->used != e->stamp) {
        free(e->ids);
        return;
    }
    free(q->foreseen);
    q->foreseen = e->ids;
    q->n_foreseen = e->n;
}

static void take_event(struct schedule *s, struct event *e) {
    switch (e->kind) {
    case EVENT_CALL:
        queue_choices(s, e->call);
        break;
    case EVENT_JUDGED:
        if (e->filtered)
            e->choice->author.ending = ENDING_FILTER;
        if (e->filtered)
            answer_withhold(e->choice);
        end_choice(s, e->choice);
        break;
    case EVENT_FORESEEN:
        take_foreseen(s, e);
        break;
    }
}

static void take_events(struct schedule *s) {
    pthread_mutex_lock(&s->lock);
    struct event *e = s->first;
    s->first = s->last = NULL;
    s->poked = false;
    pthread_mutex_unlock(&s->lock);
    for (struct event *next; e; e = next) {
        next = e->next;
        take_event(s, e);
        free(e);
    }
}

/* Those whose client has left lose what they have. */
static void drop_gone(struct schedule *s) {
    for (uint32_t i = 0; i < s->server->n_lanes; i++)
        if (s->seqs[i].choice && atomic_load(&s->seqs[i].choice->call->is_gone))
            abandon(s, leave(s, i));
    for (struct choice **at = &s->waiting; *at;) {
        struct choice *ch = *at;
        if (!atomic_load(&ch->call->is_gone)) {
            at = &ch->next;
            continue;
        }
        *at = ch->next;
        atomic_fetch_sub(&s->server->metrics.queued, 1);
        abandon(s, ch);
    }
}

/* ---- places ---- */

/* Another choice of the same call is reading the prompt that this one will copy. */
static bool is_being_read(const struct schedule *s, const struct choice *ch) {
    for (uint32_t i = 0; i < s->server->n_lanes; i++) {
        const struct sequence *q = &s->seqs[i];
        if (q->choice && q->choice->call == ch->call && q->n_held + 1 < ch->n_prompt)
            return true;
    }
    return false;
}

/* The next that waits: keys take turns, each in the order of arrival. */
static struct choice **next_waiting(struct schedule *s) {
    struct choice **best = NULL;
    for (struct choice **at = &s->waiting; *at; at = &(*at)->next)
        if (!is_being_read(s, *at) &&
            (!best || s->served[(*at)->call->key] < s->served[(*best)->call->key]))
            best = at;
    return best;
}

static bool wants_echo(const struct choice *ch) {
    return ch->call->request.echo && ch->call->request.logprobs;
}

/* The sequence holds as much of the prompt as can be had. */
static size_t bring_beginning(struct schedule *s, const struct choice *ch, struct placement p) {
    struct bise_engine *engine = s->server->engine;
    struct sequence *to = &s->seqs[p.to];
    if (wants_echo(ch) || !ch->call->request.use_cache)
        p.common = 0; /* of echo every position's logits are wanted */
    while (p.common > 0) {
        if (p.from == p.to) {
            if (bise_seq_truncate(engine, p.to, p.common, NULL) == BISE_OK) {
                to->n_held = p.common;
                return p.common;
            }
        } else if (bise_seq_copy(engine, p.to, p.from, p.common, NULL) == BISE_OK) {
            to->n_held = 0;
            if (sequence_hold(to, s->seqs[p.from].held, p.common))
                return p.common;
        }
        sequences_next_source(s->seqs, s->server->n_lanes, ch->ids, ch->n_prompt, ch->call->key,
                              &p);
    }
    bise_seq_reset(engine, p.to);
    to->n_held = 0;
    return 0;
}

static void set_stable(struct sequence *q, const struct prompt *p) {
    const int32_t *ids = p->stable ? p->stable : p->ids;
    const size_t n = p->stable ? p->n_stable : p->n;
    free(q->foreseen);
    q->foreseen = NULL;
    free(q->stable);
    q->stable = malloc((n + 1) * sizeof *ids);
    q->n_stable = q->stable ? n : 0;
    if (q->stable)
        memcpy(q->stable, ids, n * sizeof *ids);
}

static void place(struct schedule *s, struct choice *ch, struct placement p) {
    struct sequence *q = &s->seqs[p.to];
    struct call *c = ch->call;
    struct metrics *m = &s->server->metrics;
    struct bise_error err = {0};
    ch->n_cached = bring_beginning(s, ch, p);
    q->choice = ch;
    q->key = c->key;
    q->used = ++s->clock;
    q->n_prompt = ch->n_prompt;
    set_stable(q, &c->prompt);
    s->served[c->key] = s->clock;
    atomic_fetch_add(&m->busy, 1);
    atomic_fetch_add(&m->prompt_tokens, ch->n_prompt);
    atomic_fetch_add(&m->cached_tokens, ch->n_cached);
    if (!(c->started > 0)) {
        c->started = seconds_now();
        atomic_store(&c->n_to_read, ch->n_prompt - ch->n_cached);
    }
    const enum bise_status status = author_begin(&ch->author, ch->seed, &err);
    if (status)
        fail_call(s, c, status, &err);
}

static void place_waiting(struct schedule *s) {
    struct placement p;
    for (struct choice **at; (at = next_waiting(s)) != NULL;) {
        struct choice *ch = *at;
        if (!sequences_place(s->seqs, s->server->n_lanes, ch->ids, ch->n_prompt, ch->call->key, &p))
            return;
        *at = ch->next;
        atomic_fetch_sub(&s->server->metrics.queued, 1);
        place(s, ch, p);
    }
}

/* ---- steps ---- */

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
    if (wants_echo(ch) && !is_writing(q)) {
        r.n = r.n < ECHO_CHUNK ? r.n : ECHO_CHUNK;
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
        fail_call(s, ch->call, status, &err);
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
        end_answer(s, r->seq);
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
        end_answer(s, r->seq);
        return;
    }
    if (status) {
        fail_call(s, ch->call, status, &err);
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
        end_answer(s, r->seq);
}

static bool have_echo_memory(struct schedule *s, uint32_t reader) {
    if (reader == s->server->n_lanes || !wants_echo(s->seqs[reader].choice) || s->echo_logits)
        return true;
    s->echo_logits = malloc(ECHO_CHUNK * sizeof *s->echo_logits * s->server->info->vocab_size);
    return s->echo_logits != NULL;
}

/* Readers have let too much gather: one of the answers ends. */
static void shed_load(struct schedule *s) {
    struct bise_error err = {0};
    bise_fail(&err, BISE_ERR_MEMORY, "answers are read too slowly, and too much of them waits");
    for (uint32_t i = 0; i < s->server->n_lanes; i++)
        if (s->seqs[i].choice) {
            fail_call(s, s->seqs[i].choice->call, BISE_ERR_MEMORY, &err);
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
        fail_call(s, s->seqs[s->runs[i].seq].choice->call, status, err);
    return status;
}

/* Runs a step. False: there is nothing to run. */
static bool step(struct schedule *s) {
    struct metrics *m = &s->server->metrics;
    struct bise_error err = {0};
    uint32_t reader;
    size_t n = plan_step(s, &reader);
    if (!have_echo_memory(s, reader)) {
        fail_call(s, s->seqs[reader].choice->call, BISE_ERR_MEMORY, &err);
        return true;
    }
    n = plan_step(s, &reader);
    if (!n)
        return false;
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

/* Reads on in what a lane's next prompt will begin with. False: there is nothing. */
static bool read_foreseen(struct schedule *s) {
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

static void wait_for_more(struct schedule *s) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->poked && !s->closing)
        if (pthread_cond_timedwait(&s->more, &s->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&s->lock);
}

static bool is_closing(struct schedule *s) {
    pthread_mutex_lock(&s->lock);
    const bool closing = s->closing;
    pthread_mutex_unlock(&s->lock);
    return closing;
}

static void *run(void *arg) {
    struct schedule *s = arg;
    while (!is_closing(s)) {
        take_events(s);
        drop_gone(s);
        place_waiting(s);
        if (!step(s) && !read_foreseen(s))
            wait_for_more(s);
    }
    take_events(s); /* what is left is given up */
    for (uint32_t i = 0; i < s->server->n_lanes; i++)
        if (s->seqs[i].choice)
            atomic_store(&s->seqs[i].choice->call->is_gone, true);
    for (struct choice *ch = s->waiting; ch; ch = ch->next)
        atomic_store(&ch->call->is_gone, true);
    drop_gone(s);
    return NULL;
}

/* ---- from other threads ---- */

bool schedule_open(struct server *server) {
    struct schedule *s = calloc(1, sizeof *s);
    server->schedule = s;
    if (!s)
        return false;
    s->server = server;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    s->seqs = calloc(server->n_lanes, sizeof *s->seqs);
    s->runs = calloc(server->n_lanes, sizeof *s->runs);
    s->allowed = malloc(server->info->vocab_size);
    struct runtime e = {.info = server->info, .plan = server->plan};
    if (s->seqs && s->runs && s->allowed &&
        speculation_open(&s->drafts, &e, LONGEST_DRAFT) == EXIT_DONE &&
        pthread_create(&s->thread, NULL, run, s) == 0)
        return true;
    free(s->seqs);
    free(s->runs);
    free(s->allowed);
    speculation_close(&s->drafts);
    free(s);
    server->schedule = NULL;
    return false;
}

static bool put_event(struct schedule *s, struct event event) {
    struct event *e = malloc(sizeof *e);
    if (!e)
        return false;
    *e = event;
    pthread_mutex_lock(&s->lock);
    if (s->last)
        s->last->next = e;
    else
        s->first = e;
    s->last = e;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    return true;
}

void schedule_put(struct server *server, struct call *c) {
    struct schedule *s = server->schedule;
    struct bise_error err = {0};
    if (put_event(s, (struct event){.kind = EVENT_CALL, .call = c}))
        return;
    fail_call(s, c, BISE_ERR_MEMORY, &err);
    server_release(s->server, c);
}

void schedule_judged(struct server *server, struct choice *ch, bool filtered) {
    if (!put_event(server->schedule,
                   (struct event){.kind = EVENT_JUDGED, .choice = ch, .filtered = filtered}))
        atomic_store(&ch->call->is_gone, true);
}

void schedule_foreseen(struct server *server, uint32_t lane, uint64_t stamp, int32_t *ids,
                       size_t n) {
    if (!put_event(server->schedule,
                   (struct event){
                       .kind = EVENT_FORESEEN, .lane = lane, .stamp = stamp, .ids = ids, .n = n}))
        free(ids);
}

void schedule_poke(struct server *server) {
    struct schedule *s = server->schedule;
    pthread_mutex_lock(&s->lock);
    s->poked = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
}

void schedule_close(struct server *server) {
    struct schedule *s = server->schedule;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    for (uint32_t i = 0; i < server->n_lanes; i++) {
        sequence_forget(&s->seqs[i]);
        free(s->seqs[i].held);
    }
    free(s->seqs);
    free(s->runs);
    free(s->allowed);
    free(s->echo_logits);
    speculation_close(&s->drafts);
    pthread_cond_destroy(&s->more);
    pthread_mutex_destroy(&s->lock);
    free(s);
    server->schedule = NULL;
}
