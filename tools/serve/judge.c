#include "tools/serve/judge.h"

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/random.h"
#include "src/os/thread.h"
#include "tools/common/moderation.h"
#include "tools/serve/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum task_kind { TASK_REQUEST, TASK_PROMPT, TASK_ANSWER };

struct task {
    struct task *next;
    enum task_kind kind;
    struct call *call;
    struct choice *choice;
};

/* A text's fingerprint, by keys that nobody can guess. */
struct print {
    uint64_t a, b;
};

#define PRINTS_KEPT 512

struct judge {
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct task *first, *last; /* guarded */
    size_t n;                  /* guarded: how many wait */
    atomic_bool closing;
    _Atomic(const struct call *) judged; /* whose task is at work */
    volatile int stop;                   /* of the session's calls */
    struct moderation moderation;
    struct print keys;
    struct print fine[PRINTS_KEPT]; /* messages of users that were let through lately */
};

/* Raises or lowers the stop word, in one order with `closing`, `judged` and a call's `is_gone`. */
static void set_stop(struct judge *j, int stop) {
    __atomic_store_n(&j->stop, stop, __ATOMIC_SEQ_CST);
}

/* INTERRUPTED where the client has left or the server ends. A stop may have been meant for the task
 * before this one: then it begins anew. */
static enum bise_status judge_text(struct judge *j, enum chat_role role, const char *text,
                                   size_t len, struct verdict *v, struct bise_error *err) {
    enum bise_status status;
    do {
        set_stop(j, 0);
        if (atomic_load(&j->closing) || atomic_load(&atomic_load(&j->judged)->is_gone))
            return bise_fail(err, BISE_ERR_INTERRUPTED, "nobody waits for it");
        status = moderation_judge(&j->moderation, role, text ? text : "", len, v, err);
    } while (status == BISE_ERR_INTERRUPTED);
    return status;
}

void judge_left(struct server *s, const struct call *c) {
    if (s->judge && atomic_load(&s->judge->judged) == c)
        set_stop(s->judge, 1);
}

static struct print print_of(const struct judge *j, const char *text, size_t len) {
    struct print p = {j->keys.a + len, j->keys.b + len};
    for (size_t i = 0; i < len; i += 8) {
        uint8_t word[8] = {0};
        memcpy(word, text + i, len - i < 8 ? len - i : 8);
        p.a = random_mix((p.a ^ get_u64(word)) + j->keys.b);
        p.b = random_mix((p.b + get_u64(word)) ^ j->keys.a);
    }
    return p;
}

/* A user's message, which is not judged again where it was let through before: conversations come
 * back with all that they have said. */
static enum bise_status judge_message(struct judge *j, const char *text, size_t len,
                                      struct verdict *v, struct bise_error *err) {
    const struct print p = print_of(j, text, len);
    struct print *const kept = &j->fine[p.a % PRINTS_KEPT];
    *v = (struct verdict){.category = NOT_MODERATED};
    if (!len || (kept->a == p.a && kept->b == p.b))
        return BISE_OK;
    const enum bise_status status = judge_text(j, CHAT_USER, text, len, v, err);
    if (!status && v->category == NOT_MODERATED)
        *kept = p;
    return status;
}

/* ---- requests of /v1/moderations ---- */

static void put_verdict(const struct server *s, const struct verdict *v, const char *id,
                        struct buffer *b) {
    const bool flagged = v->category != NOT_MODERATED;
    buffer_print(b, "{\"id\":\"%s\",\"model\":", id);
    buffer_json(b, s->name, strlen(s->name));
    buffer_print(b, ",\"results\":[{\"flagged\":%s,\"categories\":{", flagged ? "true" : "false");
    for (int i = 1; i < N_CATEGORIES; i++)
        buffer_print(b, "%s\"%s\":%s", i > 1 ? "," : "", moderation_category(i),
                     i == v->category ? "true" : "false");
    buffer_text(b, "},\"category_scores\":{");
    for (int i = 0; i < N_CATEGORIES; i++)
        buffer_print(b, "%s\"%s\":%.9g", i ? "," : "", moderation_category(i), v->p[i]);
    buffer_text(b, "}}]}");
}

static void judge_request(struct server *s, struct call *c) {
    struct fault f = {.status = 0};
    struct bise_error err = {0};
    struct verdict v = {.category = NOT_MODERATED};
    struct buffer b = {.len = 0};
    bool good = call_read(c, &s->request_facts, &f);
    if (good) {
        const struct tool_text *t = &c->request.text;
        const enum bise_status status = judge_text(s->judge, CHAT_USER, t->text, t->len, &v, &err);
        good = !status || fault_of_status(&f, "input", status, &err);
    }
    if (!good) {
        server_refuse(s, c, &f);
        return;
    }
    put_verdict(s, &v, c->id, &b);
    answer_object(c, &b);
    buffer_free(&b);
    server_wake(s);
    call_drop(c);
}

/* ---- prompts and answers ---- */

/* The text that a prompt of ids stands for, without the space that a first piece brings along. */
static enum bise_status judge_ids(const struct server *s, const struct request *r,
                                  struct verdict *v, struct bise_error *err) {
    struct buffer text = {.len = 0};
    for (size_t i = 0; i < r->n_ids; i++) {
        size_t n;
        const char *piece = bise_token_piece(s->model, r->ids[i], &n);
        buffer_put(&text, piece ? piece : "", piece ? n : 0);
    }
    const size_t skip = text.len && text.bytes[0] == ' ';
    const enum bise_status status =
        text.failed
            ? bise_fail(err, BISE_ERR_MEMORY, "no memory for the prompt's text")
            : judge_message(s->judge, text.len ? text.bytes + skip : "", text.len - skip, v, err);
    buffer_free(&text);
    return status;
}

/* Users' messages of the request, one after the other, until one is filtered. */
static enum bise_status judge_messages(const struct server *s, const struct call *c,
                                       struct verdict *v, struct bise_error *err) {
    const struct request *r = &c->request;
    struct judge *j = s->judge;
    enum bise_status status = BISE_OK;
    *v = (struct verdict){.category = NOT_MODERATED};
    if (r->ids)
        return judge_ids(s, r, v, err);
    if (c->endpoint == ENDPOINT_COMPLETIONS)
        return judge_message(j, r->text.text, r->text.len, v, err);
    for (size_t i = 0; i < r->n_parts && !status && v->category == NOT_MODERATED; i++)
        if (r->parts[i].kind == PART_USER)
            status = judge_message(j, r->parts[i].text, r->parts[i].len, v, err);
    return status;
}

static void filter_call(struct server *s, struct call *c) {
    for (uint32_t i = 0; i < c->n_choices; i++) {
        c->choices[i].author.ending = ENDING_FILTER;
        answer_end_choice(&c->choices[i], &s->answer_facts);
    }
    answer_finish(c, &s->answer_facts);
    server_release(s, c);
}

static void judge_prompt(struct server *s, struct call *c) {
    struct bise_error err = {0};
    struct verdict v;
    const enum bise_status status = judge_messages(s, c, &v, &err);
    if (status) {
        struct fault f;
        fault_of_status(&f, "messages", status, &err);
        call_fail(c, &f);
        server_release(s, c);
        return;
    }
    answer_begin(c);
    server_wake(s);
    if (v.category != NOT_MODERATED)
        filter_call(s, c);
    else
        schedule_put(s, c);
}

static void judge_answer(struct server *s, struct choice *ch) {
    struct bise_error err = {0};
    struct verdict v = {.category = NOT_MODERATED};
    enum bise_status status = BISE_OK;
    if (ch->text.len)
        status = judge_text(s->judge, CHAT_ASSISTANT, ch->text.bytes, ch->text.len, &v, &err);
    schedule_judged(s, ch, status || v.category != NOT_MODERATED);
}

/* ---- the thread ---- */

static struct task *next_task(struct judge *j) {
    pthread_mutex_lock(&j->lock);
    while (!j->first && !j->closing)
        pthread_cond_wait(&j->more, &j->lock);
    struct task *t = j->closing ? NULL : j->first;
    if (t) {
        j->first = t->next;
        j->last = j->first ? j->last : NULL;
        j->n--;
    }
    pthread_mutex_unlock(&j->lock);
    return t;
}

static struct call *call_of(const struct task *t) {
    return t->kind == TASK_ANSWER ? t->choice->call : t->call;
}

static void *run(void *arg) {
    struct server *s = arg;
    for (struct task *t; (t = next_task(s->judge)) != NULL; free(t)) {
        atomic_store(&s->judge->judged, call_of(t));
        if (t->kind == TASK_REQUEST)
            judge_request(s, t->call);
        else if (t->kind == TASK_PROMPT)
            judge_prompt(s, t->call);
        else
            judge_answer(s, t->choice);
    }
    return NULL;
}

/* False: there is no memory, or as many as `most` wait already. */
static bool put_task(struct judge *j, struct task task, size_t most) {
    struct task *t = malloc(sizeof *t);
    if (!t)
        return false;
    *t = task;
    pthread_mutex_lock(&j->lock);
    const bool room = j->n < most;
    if (room) {
        if (j->last)
            j->last->next = t;
        else
            j->first = t;
        j->last = t;
        j->n++;
        pthread_cond_signal(&j->more);
    }
    pthread_mutex_unlock(&j->lock);
    if (!room)
        free(t);
    return room;
}

void judge_put_request(struct server *s, struct call *c) {
    struct fault f;
    if (put_task(s->judge, (struct task){.kind = TASK_REQUEST, .call = c},
                 s->n_lanes + (size_t)s->options->queue))
        return;
    fault_set(&f, 429, NULL, NULL, "too many texts wait to be judged: try again later");
    server_refuse(s, c, &f);
}

void judge_put_prompt(struct server *s, struct call *c) {
    struct fault f;
    if (put_task(s->judge, (struct task){.kind = TASK_PROMPT, .call = c}, SIZE_MAX)) {
        return;
    }
    fault_set(&f, 503, NULL, NULL, "no memory for the request");
    call_fail(c, &f);
    server_release(s, c);
}

void judge_put_answer(struct server *s, struct choice *ch) {
    if (!put_task(s->judge, (struct task){.kind = TASK_ANSWER, .choice = ch}, SIZE_MAX))
        schedule_judged(s, ch, true);
}

int judge_open(struct server *s) {
    struct judge *j = calloc(1, sizeof *j);
    const struct runtime e = {.path = s->path, .model = s->model, .info = s->info, .plan = s->plan};
    s->judge = j;
    if (!j)
        return EXIT_MEMORY;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->more, NULL);
    if (getrandom(&j->keys, sizeof j->keys, 0) != (ssize_t)sizeof j->keys)
        return refuse(EXIT_FAILED, "no random numbers from the system");
    const int code = moderation_open(&j->moderation, &e, &s->options->runtime, s->prompter.format);
    j->moderation.threshold = s->options->threshold;
    if (code)
        return code;
    bise_session_stop_on(j->moderation.session, &j->stop);
    j->thread = thread_start(run, s);
    return j->thread ? EXIT_DONE : EXIT_FAILED;
}

void judge_stop(struct server *s) {
    struct judge *j = s->judge;
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->lock);
    set_stop(j, 1);
    thread_join(&j->thread);
}

/* What waited for its turn when the server ended: all threads have ended. */
static void drop_task(struct server *s, struct task *t) {
    struct call *const c = call_of(t);
    if (t->kind == TASK_REQUEST)
        call_drop(c);
    else if (t->kind == TASK_PROMPT || ++c->n_ended == c->n_choices)
        server_release(s, c);
    free(t);
}

void judge_close(struct server *s) {
    struct judge *j = s->judge;
    if (!j)
        return;
    moderation_close(&j->moderation);
    for (struct task *t = j->first, *next; t; t = next) {
        next = t->next;
        drop_task(s, t);
    }
    pthread_cond_destroy(&j->more);
    pthread_mutex_destroy(&j->lock);
    free(j);
    s->judge = NULL;
}
