#include "tools/serve/judge.h"

#include "tools/common/moderation.h"
#include "tools/serve/schedule.h"

#include <stdlib.h>
#include <string.h>

enum task_kind { TASK_REQUEST, TASK_PROMPT, TASK_ANSWER };

struct task {
    struct task *next;
    enum task_kind kind;
    struct call *call;
    struct choice *choice;
};

struct judge {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct task *first, *last;
    bool closing, has_thread;
    struct moderation moderation;
};

static enum bise_status judge_text(struct judge *j, enum chat_role role, const char *text,
                                   size_t len, struct verdict *v, struct bise_error *err) {
    return moderation_judge(&j->moderation, role, text ? text : "", len, v, err);
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
    struct verdict v;
    struct buffer b = {.len = 0};
    bool good = request_read(&c->request, c->endpoint, c->body.bytes ? c->body.bytes : "",
                             c->body.len, &s->request_facts, &f);
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

/* Users' messages of the request, one after the other; the last one is what is new. */
static enum bise_status judge_messages(struct judge *j, const struct call *c, struct verdict *v,
                                       struct bise_error *err) {
    const struct request *r = &c->request;
    size_t last = r->n_parts;
    *v = (struct verdict){.category = NOT_MODERATED};
    if (c->endpoint == ENDPOINT_COMPLETIONS)
        return r->text.len ? judge_text(j, CHAT_USER, r->text.text, r->text.len, v, err) : BISE_OK;
    while (last > 0 && r->parts[last - 1].kind != PART_USER)
        last--;
    return last ? judge_text(j, CHAT_USER, r->parts[last - 1].text, r->parts[last - 1].len, v, err)
                : BISE_OK;
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
    const enum bise_status status = judge_messages(s->judge, c, &v, &err);
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
    }
    pthread_mutex_unlock(&j->lock);
    return t;
}

static void *run(void *arg) {
    struct server *s = arg;
    for (struct task *t; (t = next_task(s->judge)) != NULL; free(t)) {
        if (t->kind == TASK_REQUEST)
            judge_request(s, t->call);
        else if (t->kind == TASK_PROMPT)
            judge_prompt(s, t->call);
        else
            judge_answer(s, t->choice);
    }
    return NULL;
}

static bool put_task(struct judge *j, struct task task) {
    struct task *t = malloc(sizeof *t);
    if (!t)
        return false;
    *t = task;
    pthread_mutex_lock(&j->lock);
    if (j->last)
        j->last->next = t;
    else
        j->first = t;
    j->last = t;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->lock);
    return true;
}

void judge_put_request(struct server *s, struct call *c) {
    struct fault f;
    if (put_task(s->judge, (struct task){.kind = TASK_REQUEST, .call = c}))
        return;
    fault_set(&f, 503, NULL, NULL, "no memory for the request");
    server_refuse(s, c, &f);
}

void judge_put_prompt(struct server *s, struct call *c) {
    struct fault f;
    if (put_task(s->judge, (struct task){.kind = TASK_PROMPT, .call = c})) {
        return;
    }
    fault_set(&f, 503, NULL, NULL, "no memory for the request");
    call_fail(c, &f);
    server_release(s, c);
}

void judge_put_answer(struct server *s, struct choice *ch) {
    if (!put_task(s->judge, (struct task){.kind = TASK_ANSWER, .choice = ch}))
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
    const int code = moderation_open(&j->moderation, &e, &s->options->runtime, s->prompter.format);
    j->moderation.threshold = s->options->threshold;
    if (code)
        return code;
    j->has_thread = pthread_create(&j->thread, NULL, run, s) == 0;
    return j->has_thread ? EXIT_DONE : EXIT_FAILED;
}

void judge_close(struct server *s) {
    struct judge *j = s->judge;
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->lock);
    if (j->has_thread)
        pthread_join(j->thread, NULL);
    moderation_close(&j->moderation);
    for (struct task *t = j->first, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    pthread_cond_destroy(&j->more);
    pthread_mutex_destroy(&j->lock);
    free(j);
    s->judge = NULL;
}
