#include "tools/serve/connection.h"

#include "tools/serve/judge.h"
#include "tools/serve/log.h"
#include "tools/serve/prepare.h"
#include "tools/serve/routes.h"
#include "tools/serve/schedule.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 16384
#define OUT_AHEAD 65536u /* bytes of a stream that lie here; the rest waits in its reply */

struct connection *connection_open(struct sockets *k, int fd, const struct own_address *own,
                                   const char *peer, double now) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct connection){
        .fd = fd, .own = *own, .since = now, .slow_since = now, .last_sent = now};
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->is_local = strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 || !peer[0];
    (void)k;
    return c;
}

/* ---- the end of a request ---- */

static void log_end(struct sockets *k, struct connection *c, bool was_cut, double now) {
    struct server *s = k->server;
    const struct log_line line = {.peer = c->peer[0] ? c->peer : "-",
                                  .method = c->method,
                                  .path = c->path,
                                  .status = c->status,
                                  .was_cut = was_cut,
                                  .seconds = now - c->began,
                                  .call = was_cut ? NULL : c->call};
    if (c->status >= 200 && c->status < 600)
        atomic_fetch_add(&s->metrics.requests[c->status / 100], 1);
    if (was_cut)
        atomic_fetch_add(&s->metrics.cancelled, 1);
    if (!s->options->quiet)
        log_request(&line, s->options->log_json);
}

/* The call's client will read no more. */
static void leave_call(struct sockets *k, struct connection *c) {
    if (!c->call)
        return;
    atomic_store(&c->call->is_gone, true);
    if (atomic_load(&k->server->alone) == c->call)
        server_stop_step(k->server, 1);
    if (atomic_load(&k->server->is_ready)) {
        judge_left(k->server, c->call);
        schedule_poke(k->server);
    }
    call_drop(c->call);
    c->call = NULL;
}

void connection_close(struct sockets *k, struct connection *c, double now) {
    if (c->call || c->state == CONNECTION_BODY || (c->state == CONNECTION_ANSWER && !c->is_done))
        log_end(k, c, true, now);
    leave_call(k, c);
    k->body_bytes -= c->body_bytes.len;
    buffer_free(&c->in);
    buffer_free(&c->out);
    buffer_free(&c->body_bytes);
    close(c->fd);
    free(c);
}

/* ---- answers ---- */

static void put_head(struct connection *c, int status, const char *type) {
    struct buffer *o = &c->out;
    buffer_print(o, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    if (type)
        buffer_print(o, "Content-Type: %s\r\n", type);
    buffer_text(o, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                   "Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\n");
    if (c->is_cross)
        buffer_print(o,
                     "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n"
                     "Access-Control-Allow-Headers: authorization, content-type\r\n"
                     "Access-Control-Allow-Methods: GET, POST\r\n",
                     c->origin);
    if (!c->keep_alive)
        buffer_text(o, "Connection: close\r\n");
    c->status = status;
    c->has_head = true;
}

static void put_body(struct connection *c, const char *bytes, size_t n) {
    buffer_print(&c->out, "Content-Length: %zu\r\n\r\n", n);
    if (!c->is_head)
        buffer_put(&c->out, bytes ? bytes : "", n);
}

/* All of the answer lies in out. */
static void end_answer(struct sockets *k, struct connection *c, double now) {
    c->state = CONNECTION_ANSWER;
    c->is_done = true;
    log_end(k, c, false, now);
    if (c->call)
        call_drop(c->call);
    c->call = NULL;
    c->since = now;
}

static void answer_fault(struct sockets *k, struct connection *c, const struct fault *f,
                         const char *allow, double now) {
    struct buffer b = {.len = 0};
    c->keep_alive = false; /* what may still come of the request is not read */
    fault_json(f, &b);
    put_head(c, f->status, "application/json");
    if (allow)
        buffer_print(&c->out, "Allow: %s\r\n", allow);
    if (f->status == 401)
        buffer_text(&c->out, "WWW-Authenticate: Bearer\r\n");
    if (f->status == 429 || f->status == 503)
        buffer_text(&c->out, "Retry-After: 5\r\n");
    put_body(c, b.bytes, b.len);
    buffer_free(&b);
    end_answer(k, c, now);
}

static void deny(struct sockets *k, struct connection *c, int status, const char *why, double now) {
    struct fault f;
    fault_set(&f, status, NULL, NULL, "%s", why);
    answer_fault(k, c, &f, NULL, now);
}

#define PAGE_POLICY                                                                                \
    "Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'none'; "           \
    "frame-ancestors 'none'\r\n"

static void answer_route(struct sockets *k, struct connection *c, const struct route *r,
                         double now) {
    put_head(c, r->status, r->type);
    if (r->is_page)
        buffer_text(&c->out, PAGE_POLICY);
    if (r->status == 204)
        buffer_text(&c->out, "\r\n");
    else
        put_body(c, r->body.bytes, r->body.len);
    end_answer(k, c, now);
}

/* ---- requests ---- */

static void copy_text(char *out, size_t cap, struct http_text t) {
    const size_t n = t.len < cap - 1 ? t.len : cap - 1;
    if (n)
        memcpy(out, t.at, n);
    out[n] = 0;
}

static void take_from_in(struct connection *c, size_t n) {
    memmove(c->in.bytes, c->in.bytes + n, c->in.len - n);
    c->in.len -= n;
}

/* The head is whole: who asks for what. */
static void begin_request(struct sockets *k, struct connection *c, const struct http_head *h,
                          double now) {
    struct route r;
    copy_text(c->method, sizeof c->method, h->method);
    copy_text(c->path, sizeof c->path, h->path);
    copy_text(c->origin, sizeof c->origin, h->origin);
    c->is_head = strcmp(c->method, "HEAD") == 0;
    c->is_1_1 = h->is_1_1;
    c->keep_alive = h->keep_alive && !atomic_load(&k->server->stopping);
    c->has_head = c->is_done = c->is_chunked = false;
    c->status = 0;
    route_request(k->server, h, &c->own, &r);
    c->is_cross = r.is_cross;
    if (r.kind == ROUTE_REFUSE) {
        answer_fault(k, c, &r.fault, r.allow, now);
    } else if (r.kind == ROUTE_ANSWER) {
        if (h->chunked || h->length)
            c->keep_alive = false; /* a body that nobody asked for is not read */
        answer_route(k, c, &r, now);
    } else {
        c->state = CONNECTION_BODY;
        c->since = now;
        c->endpoint = r.endpoint;
        c->key = r.key;
        http_body_begin(&c->body, h);
        if (h->expects_continue)
            buffer_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    buffer_free(&r.body);
}

/* Nothing that came before holds for a request that cannot be read. */
static void deny_unread(struct sockets *k, struct connection *c, int status, const char *why,
                        double now) {
    snprintf(c->method, sizeof c->method, "-");
    snprintf(c->path, sizeof c->path, "-");
    c->is_cross = c->is_head = false;
    c->began = c->since;
    deny(k, c, status, why, now);
}

static void read_head(struct sockets *k, struct connection *c, double now) {
    struct http_head h;
    const char *why = "";
    size_t taken = 0;
    if (!c->in.len)
        return;
    const enum http_result result = http_read_head(&h, c->in.bytes, c->in.len, &taken, &why);
    if (result == HTTP_MORE)
        return;
    if (result != HTTP_DONE) {
        deny_unread(k, c, 400, why, now);
        return;
    }
    c->began = c->since;
    begin_request(k, c, &h, now);
    take_from_in(c, taken);
}

/* The body is whole: a call is made of it. */
static void begin_call(struct sockets *k, struct connection *c, double now) {
    struct server *s = k->server;
    struct call *call = call_new(c->endpoint, c->key);
    k->body_bytes -= c->body_bytes.len;
    if (!call) {
        buffer_free(&c->body_bytes);
        deny(k, c, 503, "no memory for the request", now);
        return;
    }
    const bool has_room = call_take_body(call, &c->body_bytes);
    const bool stopping = atomic_load(&s->stopping);
    call_hold(call);
    c->call = call;
    c->state = CONNECTION_ANSWER;
    c->since = c->last_sent = now;
    if (stopping || !has_room || !prepare_put(s, call)) {
        call_drop(call);
        call_drop(call);
        c->call = NULL;
        if (stopping)
            deny(k, c, 503, "the server is stopping", now);
        else if (!has_room)
            deny(k, c, 503, "requests under way take too much memory now: try again later", now);
        else
            deny(k, c, 429, "too many requests wait: try again later", now);
    }
}

static void read_body(struct sockets *k, struct connection *c, double now) {
    const char *why = "";
    size_t taken = 0;
    const size_t before = c->body_bytes.len;
    const enum http_result result =
        http_read_body(&c->body, c->in.bytes ? c->in.bytes : "", c->in.len, &taken, SERVER_MAX_BODY,
                       &c->body_bytes, &why);
    if (taken)
        take_from_in(c, taken);
    k->body_bytes += c->body_bytes.len - before;
    if (result == HTTP_BAD || result == HTTP_TOO_LONG)
        deny(k, c, result == HTTP_BAD ? 400 : 413, why, now);
    else if (c->body_bytes.failed || k->body_bytes > SERVER_MAX_BODIES)
        deny(k, c, 503, "bodies of requests take too much memory now: try again later", now);
    else if (result == HTTP_DONE)
        begin_call(k, c, now);
    if (c->state == CONNECTION_ANSWER && c->body_bytes.len) {
        k->body_bytes -= c->body_bytes.len;
        buffer_free(&c->body_bytes);
    }
}

/* ---- replies ---- */

static void put_stream_head(struct connection *c) {
    c->is_chunked = c->is_1_1;
    c->keep_alive &= c->is_1_1;
    put_head(c, 200, "text/event-stream");
    buffer_text(&c->out, "X-Accel-Buffering: no\r\n");
    buffer_text(&c->out, c->is_chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

static void put_stream(struct connection *c, const char *bytes, size_t n) {
    if (c->is_chunked)
        buffer_print(&c->out, "%zx\r\n", n);
    buffer_put(&c->out, bytes, n);
    if (c->is_chunked)
        buffer_text(&c->out, "\r\n");
}

/* A comment shows that the server is there, and how far the prompt is read. */
static void put_comment(struct connection *c, double now) {
    const size_t done = atomic_load(&c->call->n_read), all = atomic_load(&c->call->n_to_read);
    char text[64];
    const int n = snprintf(text, sizeof text, ": reading %zu/%zu\n\n", done, all);
    put_stream(c, text, (size_t)n);
    c->last_sent = now;
}

/* Moves what there is of a stream; the reply is locked. */
static void move_stream(struct sockets *k, struct connection *c, struct reply *r, double now) {
    if (r->out.failed) { /* something is missing from it: a torn stream, not a wrong one */
        c->state = CONNECTION_CLOSED;
        return;
    }
    if (!c->has_head)
        put_stream_head(c);
    if (r->out.len && c->out.len - c->sent < OUT_AHEAD) {
        put_stream(c, r->out.bytes, r->out.len);
        call_sent(r->out.len);
        buffer_free(&r->out);
        c->last_sent = now;
    }
    if (!r->has_ended || r->out.len) {
        if (now - c->last_sent >= CONNECTION_COMMENT_SECONDS && c->sent == c->out.len)
            put_comment(c, now);
        return;
    }
    if (r->has_failed)
        c->keep_alive = false;
    else if (c->is_chunked)
        buffer_text(&c->out, "0\r\n\r\n");
    c->is_done = true;
    (void)k;
}

static void move_reply(struct sockets *k, struct connection *c, double now) {
    struct reply *r = &c->call->reply;
    pthread_mutex_lock(&r->lock);
    if (r->is_stream) {
        move_stream(k, c, r, now);
    } else if (r->has_ended) {
        put_head(c, r->out.failed ? 500 : r->status, "application/json");
        if (r->retry)
            buffer_text(&c->out, "Retry-After: 5\r\n");
        put_body(c, r->out.failed ? "{}" : r->out.bytes, r->out.failed ? 2 : r->out.len);
        call_sent(r->out.len);
        buffer_free(&r->out);
        c->is_done = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (c->is_done)
        end_answer(k, c, now);
}

/* ---- reading and writing ---- */

static void write_out(struct connection *c, double now) {
    while (c->sent < c->out.len) {
        const ssize_t n =
            send(c->fd, c->out.bytes + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            c->state = CONNECTION_CLOSED;
        if (n <= 0)
            return;
        c->sent += (size_t)n;
        c->slow_sent += (size_t)n;
    }
    buffer_free(&c->out);
    c->sent = 0;
    c->slow_since = now;
    c->slow_sent = 0;
}

/* All that a request has asked for is sent. */
static void end_request(struct connection *c, double now) {
    c->since = now;
    if (c->keep_alive) {
        c->state = CONNECTION_HEAD;
        return;
    }
    shutdown(c->fd, SHUT_WR);
    c->state = CONNECTION_DRAIN;
    buffer_free(&c->in);
}

static void read_in(struct connection *c, double now) {
    char bytes[READ_SIZE];
    const ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        c->state = CONNECTION_CLOSED;
    if (n <= 0 || c->state == CONNECTION_DRAIN)
        return;
    if (!c->in.len && c->state == CONNECTION_HEAD)
        c->since = now; /* a request begins */
    buffer_put(&c->in, bytes, (size_t)n);
    if (c->in.failed)
        c->state = CONNECTION_CLOSED;
}

static bool is_waiting_for_more(const struct connection *c) {
    return c->state != CONNECTION_ANSWER || c->in.len < READ_SIZE;
}

short connection_events(const struct connection *c) {
    int events = POLLRDHUP;
    if (is_waiting_for_more(c))
        events |= POLLIN;
    if (c->sent < c->out.len)
        events |= POLLOUT;
    return (short)events;
}

bool connection_is_idle(const struct connection *c) {
    return c->state == CONNECTION_HEAD && !c->in.len;
}

/* ---- limits of time ---- */

static void check_time(struct sockets *k, struct connection *c, double now) {
    const double age = now - c->since;
    if (c->sent < c->out.len && now - c->slow_since >= CONNECTION_SLOW_SECONDS) {
        if (c->slow_sent < CONNECTION_SLOW_BYTES)
            c->state = CONNECTION_CLOSED;
        c->slow_since = now;
        c->slow_sent = 0;
    }
    if (c->state == CONNECTION_HEAD && c->in.len && age >= CONNECTION_HEAD_SECONDS) {
        deny_unread(k, c, 408, "the header did not come within 10 s", now);
    } else if (connection_is_idle(c) &&
               (age >= CONNECTION_IDLE_SECONDS || atomic_load(&k->server->stopping))) {
        c->state = CONNECTION_CLOSED;
    } else if (c->state == CONNECTION_BODY && age >= CONNECTION_BODY_SECONDS) {
        k->body_bytes -= c->body_bytes.len;
        buffer_free(&c->body_bytes);
        deny(k, c, 408, "the body did not come within 60 s", now);
    } else if (c->state == CONNECTION_DRAIN && age >= CONNECTION_DRAIN_SECONDS) {
        c->state = CONNECTION_CLOSED;
    }
}

/* What has been read is looked at, as far as one request at a time allows. */
static void go_on(struct sockets *k, struct connection *c, double now) {
    enum connection_state before;
    bool has_ended;
    do {
        before = c->state;
        if (c->state == CONNECTION_HEAD)
            read_head(k, c, now);
        if (c->state == CONNECTION_BODY)
            read_body(k, c, now);
        if (c->state == CONNECTION_ANSWER && c->call)
            move_reply(k, c, now);
        if (c->state != CONNECTION_CLOSED)
            write_out(c, now);
        has_ended = c->state == CONNECTION_ANSWER && c->is_done && c->sent == c->out.len;
        if (has_ended)
            end_request(c, now); /* and the next may be there: no event would tell of it */
    } while ((c->state != before || has_ended) && c->state != CONNECTION_CLOSED);
}

void connection_step(struct sockets *k, struct connection *c, short events, double now) {
    if (events & (POLLERR | POLLNVAL))
        c->state = CONNECTION_CLOSED;
    if (c->state == CONNECTION_ANSWER && (events & (POLLRDHUP | POLLHUP)))
        c->state = CONNECTION_CLOSED; /* the end of input is the end of interest */
    if (c->state != CONNECTION_CLOSED && (events & (POLLIN | POLLHUP | POLLRDHUP)))
        read_in(c, now);
    if (c->state != CONNECTION_CLOSED)
        check_time(k, c, now);
    if (c->state != CONNECTION_CLOSED)
        go_on(k, c, now);
}
