/*
 * Clients that ask, hang up and come back, at a whole server over socketpairs; and servers that end
 * in the middle of it: their threads and what they share. Wherever one thread hands something to
 * another, or takes a lock, it may lose its CPU: the linker leads these calls here (mk/test.mk).
 * usage: stress_serve [REQUESTS [SERVERS]]
 */
#include "src/os/clock.h"
#include "tools/serve/connection.h"
#include "tools/serve/judge.h"
#include "tools/serve/prepare.h"
#include "tools/serve/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_CLIENTS 6

/* ---- threads that lose their CPU ---- */

static atomic_uint random_state;

static void lose_cpu(void) {
    const uint32_t x = (atomic_fetch_add(&random_state, 1) + 1) * 2654435761u;
    if ((x >> 8) % 32 == 0)
        usleep((x >> 16) % 64 == 0 ? 20000 : (x >> 16) % 1000);
}

#define LOSES_CPU(does, result, name, parameters, arguments)                                       \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters {                                                              \
        lose_cpu();                                                                                \
        does __real_##name arguments;                                                              \
    }

LOSES_CPU(return, int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
LOSES_CPU(return, int, pthread_mutex_unlock, (pthread_mutex_t * m), (m))
LOSES_CPU(return, enum bise_status, bise_step,
                (struct bise_engine * e, struct bise_run *runs, size_t n, const volatile int *stop,
                 struct bise_error *err),
                (e, runs, n, stop, err))
LOSES_CPU(, void, prepare_foresee,
          (struct server * s, struct call *c, char *text, size_t len, bool calls, uint32_t lane,
           uint64_t stamp),
          (s, c, text, len, calls, lane, stamp))
LOSES_CPU(, void, schedule_put, (struct server * s, struct call *c), (s, c))
LOSES_CPU(, void, schedule_judged, (struct server * s, struct choice *ch, bool filtered),
          (s, ch, filtered))
LOSES_CPU(, void, judge_put_answer, (struct server * s, struct choice *ch), (s, ch))
LOSES_CPU(, void, server_wake, (struct server * s), (s))
LOSES_CPU(, void, call_drop, (struct call * c), (c))

/* ---- clients ---- */

static struct serve_options options = {
    .runtime = {.model = "models/demo.bise", .threads = 2, .n_ctx = 256, .window = -1},
    .host = "127.0.0.1",
    .n_lanes = 3,
    .stall_ms = 1,
    .queue = 8,
    .quiet = true,
};
static struct server server;
static struct sockets sockets;

struct client {
    int fd;       /* -1: not connected */
    int patience; /* rounds until it hangs up */
    size_t n_heard;
    char last[16]; /* of what it heard */
};

static void ask(struct client *c, int i) {
    static const struct own_address own = {"localhost", 80};
    char body[512], request[1024];
    int pair[2];
    const int n =
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"Tell story %d\"}],"
                 "\"max_tokens\":%d,\"seed\":%d,\"n\":%d,\"stream\":%s,\"logprobs\":%s%s}",
                 i % 5, 4 + i % 9, i, 1 + i % 2, i % 3 ? "true" : "false", i % 4 ? "false" : "true",
                 i % 7 ? "" : ",\"grammar\":\"root ::= [a-z ]+\"");
    snprintf(request, sizeof request,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
             n, body);
    *c = (struct client){.fd = -1, .patience = i % 4 ? 100000 : i % 23};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0 ||
        !sockets_adopt(&sockets, pair[0], &own, "", seconds_now()))
        return;
    c->fd = pair[1];
    if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        c->patience = 0;
}

/* Whether the client has heard all, or lost patience. */
static bool is_done(struct client *c) {
    char heard[4096];
    ssize_t n;
    while ((n = read(c->fd, heard, sizeof heard)) > 0) {
        c->n_heard += (size_t)n;
        if ((size_t)n >= sizeof c->last)
            memcpy(c->last, heard, sizeof c->last);
    }
    return n == 0 || --c->patience <= 0;
}

static bool open_server(void) {
    server = (struct server){.options = &options, .path = options.runtime.model};
    server.wake = eventfd(0, EFD_NONBLOCK);
    sockets = (struct sockets){.server = &server, .listener = -1, .max = 16};
    if (server_open(&server) != EXIT_DONE)
        return false;
    atomic_store(&server.is_ready, true);
    return true;
}

/* As sockets_run and server_close do it. False: places are left taken. */
static bool close_server(void) {
    atomic_store(&server.stopping, 2);
    server_stop_step(&server, 1);
    sockets_close(&sockets);
    server_close(&server);
    close(server.wake);
    return atomic_load(&server.under_way) == 0;
}

/* Servers that end while they answer. */
static bool end_amid(int n_servers) {
    struct client clients[N_CLIENTS];
    bool good = true;
    for (int i = 0; i < n_servers; i++) {
        options.moderate = i % 3 == 2;
        if (!open_server())
            return false;
        for (int k = 0; k < N_CLIENTS; k++)
            ask(&clients[k], i * N_CLIENTS + k);
        for (int k = 0; k < i % 40; k++)
            sockets_round(&sockets, 2);
        good &= close_server();
        for (int k = 0; k < N_CLIENTS; k++)
            if (clients[k].fd >= 0)
                close(clients[k].fd);
    }
    printf("%s %d_servers_end_amid_answers\n", good ? "ok" : "not ok", n_servers);
    return good;
}

int main(int argc, char **argv) {
    const int n = argc > 1 ? atoi(argv[1]) : 120;
    struct client clients[N_CLIENTS];
    int asked = 0, whole = 0, left = 0;
    if (!open_server())
        return 1;
    for (int i = 0; i < N_CLIENTS; i++)
        ask(&clients[i], asked++);
    const double end = seconds_now() + 120;
    for (int open = N_CLIENTS; open && seconds_now() < end;) {
        sockets_round(&sockets, 1);
        for (int i = 0; i < N_CLIENTS; i++) {
            if (clients[i].fd < 0 || !is_done(&clients[i]))
                continue;
            whole += clients[i].patience > 0 && clients[i].n_heard > 100;
            left += clients[i].patience <= 0;
            close(clients[i].fd);
            clients[i].fd = -1;
            if (asked < n)
                ask(&clients[i], asked++);
            else
                open--;
        }
    }
    printf("%s all_are_answered_or_leave: %d asked, %d answered, %d left\n",
           asked == n && whole + left == n ? "ok" : "not ok", asked, whole, left);
    const bool none = close_server();
    printf("%s nothing_is_left\n", none ? "ok" : "not ok");
    return whole + left == n && none && end_amid(argc > 2 ? atoi(argv[2]) : 40) ? 0 : 1;
}
