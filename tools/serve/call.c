#include "tools/serve/call.h"

#include "src/os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static atomic_size_t waiting_bytes;

size_t call_waiting_bytes(void) {
    return atomic_load(&waiting_bytes);
}

void call_added(size_t n) {
    atomic_fetch_add(&waiting_bytes, n);
}

void call_sent(size_t n) {
    atomic_fetch_sub(&waiting_bytes, n);
}

/* Memory that requests under way take: their bodies, and what is made of them. */
static atomic_size_t held_bytes;

static bool weigh(struct call *c, size_t weight) {
    const size_t before = atomic_fetch_add(&held_bytes, weight - c->weight);
    const size_t now = before + weight - c->weight;
    c->weight = weight;
    return now <= CALLS_MAX_BYTES;
}

bool call_take_body(struct call *c, struct buffer *body) {
    c->body = *body;
    *body = (struct buffer){.len = 0};
    return weigh(c, sizeof *c + c->body.len);
}

bool call_read(struct call *c, const struct request_facts *facts, struct fault *f) {
    const size_t len = c->body.len;
    if (!request_read(&c->request, c->endpoint, c->body.bytes ? c->body.bytes : "", len, facts, f))
        return false;
    buffer_free(&c->body);
    /* Its strings, copies of them, its values and the room these have grown into. */
    const size_t values = json_root(c->request.json)->span * sizeof(struct json_value) / 2 * 3;
    return weigh(c, sizeof *c + 2 * len + values) ||
           fault_set(f, 503, NULL, NULL,
                     "requests under way take too much memory now: try again later");
}

/* A name that no other request has. */
static void make_id(struct call *c) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const char *prefix = c->endpoint == ENDPOINT_COMPLETIONS ? "cmpl-" : "chatcmpl-";
    unsigned char bytes[20];
    size_t n = (size_t)snprintf(c->id, sizeof c->id, "%s", prefix);
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes && n < CALL_ID_LENGTH; i++)
        c->id[n++] = letters[bytes[i] % 36];
    c->id[n] = 0;
}

struct call *call_new(enum endpoint endpoint, uint32_t key) {
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->reply.lock, NULL);
    c->endpoint = endpoint;
    c->key = key;
    c->created = (int64_t)time(NULL);
    c->arrived = seconds_now();
    make_id(c);
    return c;
}

void call_hold(struct call *c) {
    atomic_fetch_add(&c->references, 1);
}

void call_drop(struct call *c) {
    if (!c || atomic_fetch_sub(&c->references, 1) != 1)
        return;
    for (uint32_t i = 0; i < c->n_choices; i++) {
        buffer_free(&c->choices[i].text);
        buffer_free(&c->choices[i].calls);
        free(c->choices[i].history.text);
    }
    free(c->choices);
    call_sent(c->reply.out.len);
    (void)weigh(c, 0);
    buffer_free(&c->reply.out);
    buffer_free(&c->body);
    prompt_free(&c->prompt);
    request_free(&c->request);
    pthread_mutex_destroy(&c->reply.lock);
    free(c);
}

void call_fail(struct call *c, const struct fault *f) {
    struct reply *r = &c->reply;
    pthread_mutex_lock(&r->lock);
    const size_t before = r->out.len;
    if (r->has_ended) {
        pthread_mutex_unlock(&r->lock);
        return;
    }
    if (r->is_stream) {
        buffer_text(&r->out, "data: ");
        fault_json(f, &r->out);
        buffer_text(&r->out, "\n\n");
        r->has_failed = true;
    } else {
        r->status = f->status;
        r->retry = f->status == 429 || f->status == 503;
        fault_json(f, &r->out);
    }
    r->has_ended = true;
    call_added(r->out.len - before);
    pthread_mutex_unlock(&r->lock);
    c->ended = seconds_now();
}
