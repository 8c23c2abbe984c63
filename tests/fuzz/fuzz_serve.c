/* Any bytes at the whole server over a socketpair: parser, routes, requests, engine, answers. A
 * zero byte is a pause: what follows comes in another piece. The server must go on answering. */
#include "src/os/clock.h"
#include "tools/serve/connection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUNDS 20

static struct serve_options options = {
    .runtime = {.model = "models/demo.bise", .threads = 1, .n_ctx = 256, .window = -1},
    .host = "127.0.0.1",
    .n_lanes = 2,
    .stall_ms = 1000,
    .queue = 4,
    .quiet = true,
};
static struct server server;
static struct sockets sockets;

static void start(void) {
    server = (struct server){.options = &options, .path = options.runtime.model};
    server.wake = eventfd(0, EFD_NONBLOCK);
    sockets = (struct sockets){.server = &server, .listener = -1, .max = 8};
    if (server_open(&server) != EXIT_DONE)
        abort();
    atomic_store(&server.is_ready, true);
}

static int connect_to(void) {
    static const struct own_address own = {"localhost", 80};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0 ||
        !sockets_adopt(&sockets, pair[0], &own, "", seconds_now()))
        abort();
    return pair[1];
}

/* Whether nothing more comes until something is said. */
static bool waits_for_us(void) {
    const struct connection *c = sockets.connections[0];
    return !c->call && c->sent == c->out.len;
}

static void exchange(int fd, const uint8_t *bytes, size_t n) {
    char heard[4096];
    size_t sent = 0;
    for (int i = 0; i < ROUNDS && sockets.n; i++) {
        const ssize_t some = sent < n ? send(fd, bytes + sent, n - sent, MSG_NOSIGNAL) : 0;
        sent += some > 0 ? (size_t)some : 0;
        sockets_round(&sockets, sent < n || waits_for_us() ? 0 : 1);
        while (read(fd, heard, sizeof heard) > 0)
            continue;
        if (sent == n && i > 0 && sockets.n && waits_for_us())
            return;
    }
}

/* Whether the server still answers. */
static bool answers(void) {
    static const char question[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char heard[1024] = "";
    const int fd = connect_to();
    const bool asked = send(fd, question, sizeof question - 1, 0) == (ssize_t)sizeof question - 1;
    for (int i = 0; i < ROUNDS && !heard[0]; i++) {
        sockets_round(&sockets, 1);
        if (read(fd, heard, sizeof heard - 1) <= 0)
            heard[0] = 0;
    }
    close(fd);
    return asked && strncmp(heard, "HTTP/1.1 200", 12) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!server.engine)
        start();
    const int fd = connect_to();
    for (size_t at = 0; at < size;) {
        const uint8_t *zero = memchr(data + at, 0, size - at);
        const size_t n = zero ? (size_t)(zero - data) - at : size - at;
        exchange(fd, data + at, n);
        at += n + 1;
    }
    close(fd);
    for (int i = 0; i < ROUNDS && sockets.n; i++)
        sockets_round(&sockets, 1);
    if (!answers() || sockets.body_bytes)
        abort();
    return 0;
}
