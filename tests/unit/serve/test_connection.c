/* Connections and their limits of time, by a clock that the tests set. */
#include "tools/serve/connection.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct serve_options options = {.quiet = true, .queue = 4};
static struct server server;
static struct sockets sockets;
static const struct own_address own = {"127.0.0.1", 8080};

#define HOST "Host: 127.0.0.1:8080\r\n"

/* A connection, and our end of it. */
static int client(double now) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    cr_assert(sockets_adopt(&sockets, pair[0], &own, "", now));
    return pair[1];
}

static struct connection *begin(int *fd, double now) {
    server = (struct server){.options = &options, .wake = eventfd(0, EFD_NONBLOCK)};
    sockets = (struct sockets){.server = &server, .listener = -1, .max = 4};
    *fd = client(now);
    return sockets.connections[0];
}

static void end(int fd) {
    close(fd);
    sockets_close(&sockets);
    close(server.wake);
}

static void say(int fd, const char *text) {
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* What has come back. */
static const char *heard(int fd) {
    static char text[65536];
    const ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

Test(connection, a_slow_header_is_given_up) {
    int fd;
    struct connection *c = begin(&fd, 100);
    say(fd, "GET /hea");
    connection_step(&sockets, c, POLLIN, 101);
    for (double t = 102; t < 111; t++) { /* a byte a second does not help */
        say(fd, "x");
        connection_step(&sockets, c, POLLIN, t);
        cr_assert_eq(c->state, CONNECTION_HEAD);
    }
    connection_step(&sockets, c, 0, 111);
    cr_assert_not_null(strstr(heard(fd), "408 Request Timeout"));
    cr_assert_eq(c->state, CONNECTION_DRAIN);
    connection_step(&sockets, c, 0, 114);
    cr_assert_eq(c->state, CONNECTION_CLOSED);
    end(fd);
}

Test(connection, an_idle_one_leaves) {
    int fd;
    struct connection *c = begin(&fd, 100);
    connection_step(&sockets, c, 0, 159);
    cr_assert_eq(c->state, CONNECTION_HEAD);
    say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    connection_step(&sockets, c, POLLIN, 159);
    cr_assert_not_null(strstr(heard(fd), "503")); /* it is loading */
    connection_step(&sockets, c, 0, 218);
    cr_assert_eq(c->state, CONNECTION_HEAD);
    connection_step(&sockets, c, 0, 219);
    cr_assert_eq(c->state, CONNECTION_CLOSED);
    end(fd);
}

Test(connection, a_slow_body_is_given_up) {
    int fd;
    struct connection *c = begin(&fd, 100);
    atomic_store(&server.is_ready, true);
    say(fd, "POST /tokenize HTTP/1.1\r\n" HOST
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n");
    connection_step(&sockets, c, POLLIN, 101);
    cr_assert_eq(c->state, CONNECTION_BODY);
    for (double t = 102; t < 161; t++) {
        say(fd, " ");
        connection_step(&sockets, c, POLLIN, t);
        cr_assert_eq(c->state, CONNECTION_BODY);
    }
    cr_assert_eq(sockets.body_bytes, 59);
    connection_step(&sockets, c, 0, 161);
    cr_assert_not_null(strstr(heard(fd), "408 Request Timeout"));
    cr_assert_eq(sockets.body_bytes, 0);
    atomic_store(&server.is_ready, false);
    end(fd);
}

/* A call as if it were being answered: a stream with so many bytes. */
static struct call *answer_with(struct connection *c, size_t n) {
    struct call *call = call_new(ENDPOINT_CHAT, 0);
    c->state = CONNECTION_ANSWER;
    c->is_1_1 = c->keep_alive = true;
    c->is_done = c->has_head = false;
    c->call = call;
    call_hold(call);
    call->reply.is_stream = true;
    call->reply.status = 200;
    char *bytes = calloc(1, n + 1);
    memset(bytes, 'x', n);
    buffer_put(&call->reply.out, bytes, n);
    call_added(n);
    free(bytes);
    return call;
}

Test(connection, a_reader_who_takes_nothing_is_let_go) {
    int fd;
    struct connection *c = begin(&fd, 100);
    struct call *call = answer_with(c, 4 << 20);
    connection_step(&sockets, c, 0, 100);
    cr_assert(c->sent < c->out.len);
    connection_step(&sockets, c, POLLOUT, 159);
    cr_assert_eq(c->state, CONNECTION_ANSWER);
    heard(fd); /* 64 KB in a minute are enough */
    connection_step(&sockets, c, POLLOUT, 160);
    cr_assert_eq(c->state, CONNECTION_ANSWER);
    connection_step(&sockets, c, POLLOUT, 220);
    cr_assert_eq(c->state, CONNECTION_ANSWER);
    connection_step(&sockets, c, POLLOUT, 279);
    cr_assert_eq(c->state, CONNECTION_ANSWER);
    connection_step(&sockets, c, POLLOUT, 280);
    cr_assert_eq(c->state, CONNECTION_CLOSED);
    sockets_close(&sockets);
    cr_assert(atomic_load(&call->is_gone));
    call_drop(call);
    end(fd);
}

Test(connection, comments_run_while_a_stream_waits) {
    int fd;
    struct connection *c = begin(&fd, 100);
    struct call *call = answer_with(c, 0);
    atomic_store(&call->n_to_read, 200);
    atomic_store(&call->n_read, 64);
    c->last_sent = 100;
    connection_step(&sockets, c, 0, 100);
    cr_assert_not_null(strstr(heard(fd), "text/event-stream"));
    connection_step(&sockets, c, 0, 104);
    cr_assert_str_eq(heard(fd), "");
    connection_step(&sockets, c, 0, 105);
    cr_assert_not_null(strstr(heard(fd), ": reading 64/200\n\n"));
    call->reply.has_ended = true;
    connection_step(&sockets, c, 0, 106);
    cr_assert_str_eq(heard(fd), "0\r\n\r\n");
    cr_assert_eq(c->state, CONNECTION_HEAD);
    call_drop(call);
    end(fd);
}

Test(connection, the_end_of_input_is_the_end_of_interest) {
    int fd;
    struct connection *c = begin(&fd, 100);
    struct call *call = answer_with(c, 0);
    connection_step(&sockets, c, 0, 100);
    shutdown(fd, SHUT_WR);
    connection_step(&sockets, c, POLLIN | POLLRDHUP, 101);
    cr_assert_eq(c->state, CONNECTION_CLOSED);
    sockets_close(&sockets);
    cr_assert(atomic_load(&call->is_gone));
    call_drop(call);
    end(fd);
}

Test(connection, requests_that_came_together_are_answered_together) {
    int fd, n = 0;
    struct connection *c = begin(&fd, 100);
    for (int i = 0; i < 20; i++)
        say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    connection_step(&sockets, c, POLLIN, 101);
    for (const char *at = heard(fd); (at = strstr(at, "HTTP/1.1 503")) != NULL; at++)
        n++;
    cr_assert_eq(n, 20);
    cr_assert_eq(c->state, CONNECTION_HEAD);
    end(fd);
}

Test(connection, one_request_is_read_ahead) {
    int fd;
    struct connection *c = begin(&fd, 100);
    struct call *call = answer_with(c, 0);
    char more[8192];
    memset(more, 'x', sizeof more);
    for (int i = 0; i < 16; i++) {
        ssize_t n = write(fd, more, sizeof more);
        if (connection_events(c) & POLLIN)
            connection_step(&sockets, c, POLLIN, 100);
        cr_assert(n > 0 || errno == EAGAIN);
    }
    cr_assert(c->in.len <= 2 * 16384, "%zu", c->in.len);
    cr_assert(!(connection_events(c) & POLLIN));
    call_drop(call);
    end(fd);
}

Test(connection, the_longest_idle_one_makes_room) {
    int fds[6];
    begin(&fds[0], 100);
    for (int i = 1; i < 4; i++)
        fds[i] = client(100 + i);
    say(fds[0], "GET /"); /* is not idle */
    connection_step(&sockets, sockets.connections[0], POLLIN, 104);
    fds[4] = client(105);
    cr_assert_eq(sockets.n, 4);
    char byte;
    cr_assert_eq(read(fds[1], &byte, 1), 0); /* the oldest of the others has gone */
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    sockets.n = 0; /* from one address come at most half */
    struct connection *kept[4];
    memcpy(kept, sockets.connections, sizeof kept);
    cr_assert(sockets_adopt(&sockets, pair[0], &own, "10.0.0.1", 106));
    cr_assert(sockets_adopt(&sockets, dup(pair[0]), &own, "10.0.0.1", 106));
    cr_assert(!sockets_adopt(&sockets, pair[0], &own, "10.0.0.1", 106));
    cr_assert(sockets_adopt(&sockets, dup(pair[0]), &own, "10.0.0.2", 106));
    sockets_close(&sockets);
    memcpy(sockets.connections, kept, sizeof kept);
    sockets.n = 4;
    close(pair[1]);
    for (int i = 1; i < 5; i++)
        close(fds[i]);
    end(fds[0]);
}

/* Nobody fills the memory by sending bodies and not reading answers. */
Test(connection, bodies_count_until_their_calls_end) {
    struct call *calls[3];
    for (int i = 0; i < 3; i++) {
        const size_t len = CALLS_MAX_BYTES / 8 * 5;
        struct buffer body = {.bytes = malloc(len), .len = len};
        cr_assert_not_null(body.bytes);
        calls[i] = call_new(ENDPOINT_CHAT, 0);
        cr_assert_eq(call_take_body(calls[i], &body), i != 1);
        cr_assert_null(body.bytes);
        if (i == 1) {
            call_drop(calls[0]);
            call_drop(calls[1]);
        }
    }
    call_drop(calls[2]);
}
