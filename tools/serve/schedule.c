#include "tools/serve/schedule_impl.h"

#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/thread.h"
#include "tools/serve/judge.h"
#include "tools/serve/prepare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum event_kind { EVENT_CALL, EVENT_FORESEEN };

struct event {
    struct event *next;
    enum event_kind kind;
    struct call *call;
    uint32_t lane;
    uint64_t stamp;
    int32_t *ids; /* [n] */
    size_t n;
};

/* ---- ends ---- */

/* All of the call's choices have ended. What the log tells of it is its reader's from then on, as
 * is that of a call that has failed. */
static void finish_call(struct schedule *s, struct call *c) {
    if (!atomic_load(&c->is_gone)) {
        for (uint32_t i = 0; i < c->n_choices; i++)
            c->n_answer += author_tokens(&c->choices[i].author);
        c->n_prompt = c->prompt.n;
        c->n_cached = c->choices[0].n_cached;
        answer_finish(c, &s->server->answer_facts);
    }
    server_release(s->server, c);
}

static void end_choice(struct schedule *s, struct choice *ch) {
    answer_end_choice(ch, &s->server->answer_facts);
    if (ch->call->n_ended == ch->call->n_choices)
        finish_call(s, ch->call);
    else
        server_wake(s->server);
}

void schedule_abandon(struct schedule *s, struct choice *ch) {
    ch->has_ended = true;
    if (++ch->call->n_ended == ch->call->n_choices)
        finish_call(s, ch->call);
}

void schedule_fail(struct schedule *s, struct call *c, enum bise_status status,
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

void schedule_end_answer(struct schedule *s, uint32_t lane) {
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
    case EVENT_FORESEEN:
        take_foreseen(s, e);
        break;
    }
}

static void take_judged(struct schedule *s, struct choice *ch) {
    if (ch->filtered) {
        ch->author.ending = ENDING_FILTER;
        answer_withhold(ch);
    }
    end_choice(s, ch);
}

static void take_events(struct schedule *s) {
    pthread_mutex_lock(&s->lock);
    struct event *e = s->first;
    struct choice *judged = s->judged;
    s->first = s->last = NULL;
    s->judged = NULL;
    s->poked = false;
    pthread_mutex_unlock(&s->lock);
    for (struct choice *next; judged; judged = next) {
        next = judged->next;
        take_judged(s, judged);
    }
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
            schedule_abandon(s, leave(s, i));
    for (struct choice **at = &s->waiting; *at;) {
        struct choice *ch = *at;
        if (!atomic_load(&ch->call->is_gone)) {
            at = &ch->next;
            continue;
        }
        *at = ch->next;
        atomic_fetch_sub(&s->server->metrics.queued, 1);
        schedule_abandon(s, ch);
    }
}

/* ---- places ---- */

/* Another choice of the same call is reading the prompt that this one will copy. */
static bool is_being_read(const struct schedule *s, const struct choice *ch) {
    for (uint32_t i = 0; i < s->server->n_lanes; i++) {
        const struct sequence *q = &s->seqs[i];
        if (q->choice && q->choice->call == ch->call && q->n_held + 1 < ch->call->prompt.n)
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

/* The sequence holds as much of the prompt as can be had. */
static size_t bring_beginning(struct schedule *s, const struct choice *ch, struct placement p) {
    struct bise_engine *engine = s->server->engine;
    const struct prompt *prompt = &ch->call->prompt;
    if (choice_wants_echo(ch) || !ch->call->request.use_cache)
        p.common = 0; /* of echo every position's logits are wanted */
    while (p.common > 0) {
        if (p.from == p.to) {
            if (bise_seq_truncate(engine, p.to, p.common, NULL) == BISE_OK)
                return p.common;
        } else if (bise_seq_copy(engine, p.to, p.from, p.common, NULL) == BISE_OK) {
            return p.common;
        }
        sequences_next_source(s->seqs, s->server->n_lanes, prompt->ids, prompt->n, ch->call->key,
                              &p);
    }
    bise_seq_reset(engine, p.to);
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

/* The choice's author begins to read and write at its place. */
static enum bise_status begin(struct schedule *s, struct choice *ch, uint32_t lane,
                              struct bise_error *err) {
    const struct server *server = s->server;
    const struct prompt *prompt = &ch->call->prompt;
    struct sequence *q = &s->seqs[lane];
    const size_t room = SCHEDULE_ECHO_CHUNK * sizeof *s->echo_logits * server->info->vocab_size;
    if (choice_wants_echo(ch) && !s->echo_logits)
        s->echo_logits = malloc(room);
    const struct author_place at = {.engine = server->engine,
                                    .seq = lane,
                                    .ids = &q->ids,
                                    .held = ch->n_cached,
                                    .read_logits = choice_wants_echo(ch) ? s->echo_logits : NULL,
                                    .allowed = s->allowed};
    if ((choice_wants_echo(ch) && !s->echo_logits) ||
        !sequence_set(q, prompt->ids, prompt->n, ch->n_cached))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the prompt");
    if (ch->call->request.echo)
        answer_echo(ch);
    return author_begin(&ch->author, &at, ch->seed, err);
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
    q->n_prompt = c->prompt.n;
    set_stable(q, &c->prompt);
    s->served[c->key] = s->clock;
    atomic_fetch_add(&m->busy, 1);
    atomic_fetch_add(&m->prompt_tokens, c->prompt.n);
    atomic_fetch_add(&m->cached_tokens, ch->n_cached);
    if (!(c->started > 0)) {
        c->started = seconds_now();
        atomic_store(&c->n_to_read, c->prompt.n - ch->n_cached);
    }
    const enum bise_status status = begin(s, ch, p.to, &err);
    if (status) {
        ch->author.generator.finish = FINISH_ERROR;
        schedule_fail(s, c, status, &err);
    }
}

static void place_waiting(struct schedule *s) {
    struct placement p;
    for (struct choice **at; (at = next_waiting(s)) != NULL;) {
        struct choice *ch = *at;
        const struct prompt *prompt = &ch->call->prompt;
        if (!sequences_place(s->seqs, s->server->n_lanes, prompt->ids, prompt->n, ch->call->key,
                             &p))
            return;
        *at = ch->next;
        atomic_fetch_sub(&s->server->metrics.queued, 1);
        place(s, ch, p);
    }
}

static void wait_for_more(struct schedule *s) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
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
        if (!schedule_step(s) && !schedule_read_foreseen(s))
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

/* What waits for a time is not to wait longer where somebody sets the clock back. */
static void init_by_monotonic_clock(pthread_cond_t *c) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool schedule_open(struct server *server) {
    struct schedule *s = calloc(1, sizeof *s);
    server->schedule = s;
    if (!s)
        return false;
    s->server = server;
    pthread_mutex_init(&s->lock, NULL);
    init_by_monotonic_clock(&s->more);
    s->seqs = calloc(server->n_lanes, sizeof *s->seqs);
    s->runs = calloc(server->n_lanes, sizeof *s->runs);
    s->allowed = malloc(server->info->vocab_size);
    struct runtime e = {.info = server->info, .plan = server->plan};
    if (s->seqs && s->runs && s->allowed &&
        speculation_open(&s->drafts, &e, SCHEDULE_LONGEST_DRAFT) == EXIT_DONE &&
        (s->thread = thread_start(run, s)) != NULL)
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
    schedule_fail(s, c, BISE_ERR_MEMORY, &err);
    server_release(s->server, c);
}

/* (Without memory of its own: a choice that did not come back would keep its place for ever.) */
void schedule_judged(struct server *server, struct choice *ch, bool filtered) {
    struct schedule *s = server->schedule;
    ch->filtered = filtered;
    pthread_mutex_lock(&s->lock);
    ch->next = s->judged;
    s->judged = ch;
    s->poked = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
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

void schedule_stop(struct server *server) {
    struct schedule *s = server->schedule;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    thread_join(&s->thread);
}

void schedule_close(struct server *server) {
    struct schedule *s = server->schedule;
    if (!s)
        return;
    for (uint32_t i = 0; i < server->n_lanes; i++) {
        sequence_forget(&s->seqs[i]);
        free(s->seqs[i].ids.ids);
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
