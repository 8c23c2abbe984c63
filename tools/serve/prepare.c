#include "tools/serve/prepare.h"

#include "src/os/clock.h"
#include "src/os/thread.h"
#include "tools/serve/judge.h"
#include "tools/serve/log.h"
#include "tools/serve/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct job {
    struct job *next;
    struct call *call;
    char *text; /* [len], malloc'd: an answer, whose next prompt is to be foreseen; else NULL */
    size_t len;
    bool calls;
    uint32_t lane;
    uint64_t stamp;
};

struct prepare {
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, *last;
    size_t n;
    bool closing;
};

/* ---- choices ---- */

/* The seed where none was given: 0 where nothing is drawn. */
static uint64_t draw_seed(const struct request *r) {
    uint64_t seed = 0;
    if (r->sampling.temp > 0 && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)(seconds_now() * 1e6);
    return seed >> 11; /* a number that JSON's readers keep exact */
}

static bool open_choices(struct server *s, struct call *c, struct fault *f) {
    const struct request *r = &c->request;
    const uint64_t seed = r->has_seed ? r->sampling.seed : draw_seed(r);
    c->choices = calloc(r->n, sizeof *c->choices);
    for (uint32_t i = 0; i < r->n && c->choices; i++) {
        struct choice *ch = &c->choices[i];
        *ch = (struct choice){.call = c, .index = i, .seed = seed + i};
        c->n_choices = i + 1;
        if (!author_open(&ch->author, &s->prompter, &s->grammars, r, f))
            return false;
    }
    return c->choices || fault_set(f, 503, NULL, NULL, "no memory for the answer");
}

static void log_unknown(struct server *s, const struct request *r) {
    static char told[64][40];
    static size_t n_told;
    for (size_t i = 0; i < r->n_unknown; i++) {
        size_t k = 0;
        while (k < n_told && strcmp(told[k], r->unknown[i]) != 0)
            k++;
        if (k < n_told || n_told == 64 || s->options->quiet || !log_has_room())
            continue;
        snprintf(told[n_told++], sizeof told[0], "%s", r->unknown[i]);
        char shown[256];
        json_escape(shown, sizeof shown, r->unknown[i], strlen(r->unknown[i]));
        complain("requests have a field %s, which is not known and left out", shown);
    }
}

bool prepare_call(struct server *s, struct call *c, struct fault *f) {
    if (!call_read(c, &s->request_facts, f))
        return false;
    log_unknown(s, &c->request);
    return prompt_make(&c->prompt, &s->prompter, &c->request, f) && open_choices(s, c, f);
}

/* ---- the small endpoints ---- */

static bool answer_tokenize(struct server *s, struct call *c, struct fault *f) {
    struct buffer b = {.len = 0};
    const struct request *r = &c->request;
    struct bise_error err = {0};
    const size_t cap = 3 * r->text.len + 4;
    size_t n = 0;
    int32_t *ids = malloc(cap * sizeof *ids);
    const enum bise_status status = ids ? bise_tokenize(s->model, r->text.len ? r->text.text : "",
                                                        r->text.len, ids, cap, &n, &err)
                                        : BISE_ERR_MEMORY;
    buffer_text(&b, "{\"tokens\":[");
    if (r->add_special && s->info->text_bos >= 0)
        buffer_print(&b, n ? "%d," : "%d", s->info->text_bos);
    for (size_t i = 0; i < n; i++)
        buffer_print(&b, i ? ",%d" : "%d", ids[i]);
    buffer_text(&b, "]}");
    free(ids);
    if (!status)
        answer_object(c, &b);
    buffer_free(&b);
    return !status || fault_of_status(f, "content", status, &err);
}

static bool answer_detokenize(struct server *s, struct call *c, struct fault *f) {
    struct buffer text = {.len = 0}, b = {.len = 0};
    for (size_t i = 0; i < c->request.n_ids; i++) {
        size_t n;
        const char *piece = bise_token_piece(s->model, c->request.ids[i], &n);
        buffer_put(&text, piece ? piece : "", piece ? n : 0);
    }
    buffer_text(&b, "{\"content\":");
    buffer_json(&b, text.bytes ? text.bytes : "", text.len);
    buffer_text(&b, "}");
    const bool failed = text.failed || b.failed;
    if (!failed)
        answer_object(c, &b);
    buffer_free(&text);
    buffer_free(&b);
    return !failed || fault_set(f, 503, NULL, NULL, "no memory for the text");
}

/* Reads the body, and answers at once what needs no engine. */
static bool answer_small(struct server *s, struct call *c, struct fault *f) {
    if (!call_read(c, &s->request_facts, f))
        return false;
    log_unknown(s, &c->request);
    if (!s->info->has_tokenizer)
        return fault_set(f, 400, NULL, NULL, "the model file has no tokenizer");
    const bool good =
        c->endpoint == ENDPOINT_TOKENIZE ? answer_tokenize(s, c, f) : answer_detokenize(s, c, f);
    if (good) {
        server_wake(s);
        call_drop(c);
    }
    return good;
}

/* ---- the thread ---- */

static void prepare(struct server *s, struct call *c) {
    struct fault f = {.status = 0};
    if (atomic_load(&c->is_gone)) {
        call_drop(c);
        return;
    }
    if (c->endpoint == ENDPOINT_TOKENIZE || c->endpoint == ENDPOINT_DETOKENIZE) {
        if (!answer_small(s, c, &f))
            server_refuse(s, c, &f);
        return;
    }
    if (c->endpoint == ENDPOINT_MODERATIONS) {
        judge_put_request(s, c);
        return;
    }
    bool good = prepare_call(s, c, &f);
    c->prepared = seconds_now();
    if (good && !server_admit(s, c->n_choices))
        good = fault_set(&f, 429, NULL, NULL,
                         "%zu answers are under way and %zu wait: try again later",
                         (size_t)s->n_lanes, (size_t)s->options->queue);
    c->queued = good;
    if (!good) {
        for (uint32_t i = 0; i < c->n_choices; i++)
            author_close(&c->choices[i].author, &s->grammars);
        server_refuse(s, c, &f);
    } else if (s->judge) {
        judge_put_prompt(s, c);
    } else {
        answer_begin(c);
        server_wake(s);
        schedule_put(s, c);
    }
}

static void foresee(struct server *s, struct job *j) {
    int32_t *ids = NULL;
    size_t n = 0;
    if (prompt_foresee(&s->prompter, &j->call->request, j->text, j->len, j->calls, &ids, &n))
        schedule_foreseen(s, j->lane, j->stamp, ids, n);
    call_drop(j->call);
    free(j->text);
}

static struct job *next_job(struct prepare *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->closing)
        pthread_cond_wait(&p->more, &p->lock);
    struct job *j = p->closing ? NULL : p->first;
    if (j) {
        p->first = j->next;
        p->last = p->first ? p->last : NULL;
        p->n--;
    }
    pthread_mutex_unlock(&p->lock);
    return j;
}

static void *run(void *arg) {
    struct server *s = arg;
    for (struct job *j; (j = next_job(s->prepare)) != NULL; free(j)) {
        if (j->text)
            foresee(s, j);
        else
            prepare(s, j->call);
    }
    return NULL;
}

bool prepare_open(struct server *s) {
    struct prepare *p = calloc(1, sizeof *p);
    s->prepare = p;
    if (!p)
        return false;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    p->thread = thread_start(run, s);
    if (p->thread)
        return true;
    free(p);
    s->prepare = NULL;
    return false;
}

static bool put_job(struct prepare *p, struct job job, size_t most) {
    struct job *j = malloc(sizeof *j);
    if (!j)
        return false;
    *j = job;
    pthread_mutex_lock(&p->lock);
    const bool room = p->n < most;
    if (room) {
        if (p->last)
            p->last->next = j;
        else
            p->first = j;
        p->last = j;
        p->n++;
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    if (!room)
        free(j);
    return room;
}

bool prepare_put(struct server *s, struct call *c) {
    return put_job(s->prepare, (struct job){.call = c}, s->n_lanes + (size_t)s->options->queue);
}

void prepare_foresee(struct server *s, struct call *c, char *text, size_t len, bool calls,
                     uint32_t lane, uint64_t stamp) {
    const struct job job = {
        .call = c, .text = text, .len = len, .calls = calls, .lane = lane, .stamp = stamp};
    if (!put_job(s->prepare, job, SIZE_MAX)) {
        call_drop(c);
        free(text);
    }
}

void prepare_stop(struct server *s) {
    struct prepare *p = s->prepare;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    thread_join(&p->thread);
}

void prepare_close(struct server *s) {
    struct prepare *p = s->prepare;
    if (!p)
        return;
    for (struct job *j = p->first, *next; j; j = next) {
        next = j->next;
        call_drop(j->call);
        free(j->text);
        free(j);
    }
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p);
    s->prepare = NULL;
}
