#include "tools/serve/sockets.h"

#include "src/os/clock.h"
#include "tools/serve/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_DESCRIPTORS 32 /* for all that is not a connection */
#define MANY              8  /* connections whose memory is worth giving back */
#define ACCEPTED_AT_ONCE  32 /* then those that are there have their turn */
#define ROUND_MS          500

/* ---- listening ---- */

static int listen_at(const struct sockaddr *address, socklen_t len) {
    const int on = 1;
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* The address of a literal; its length, 0 where it is none. An address of IPv6 takes IPv4 too where
 * it is that of all ends. */
static socklen_t read_address(const char *host, int port, struct sockaddr_storage *out) {
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){.ss_family = AF_INET};
    four->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1)
        return sizeof *four;
    *out = (struct sockaddr_storage){.ss_family = AF_INET6};
    six->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host, &six->sin6_addr) == 1 ? sizeof *six : 0;
}

/* As many connections as descriptors allow. */
static size_t most_connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur > SOCKETS_MAX + SPARE_DESCRIPTORS)
        return SOCKETS_MAX;
    return limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? (size_t)limit.rlim_cur - SPARE_DESCRIPTORS
                                                  : SPARE_DESCRIPTORS / 4;
}

int sockets_listen(struct sockets *k, struct server *s, const char *host, int port) {
    struct sockaddr_storage address;
    *k = (struct sockets){.server = s, .max = most_connections()};
    const socklen_t len =
        read_address(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &address);
    if (!len)
        return refuse(EXIT_USAGE, "--host: expected an address such as 127.0.0.1, found \"%s\"",
                      host);
    k->listener = listen_at((const struct sockaddr *)&address, len);
    if (k->listener >= 0)
        return EXIT_DONE;
    return refuse(EXIT_FAILED, "%s port %d: %s%s", host, port, strerror(errno),
                  errno == EADDRINUSE ? " (--port N takes another)" : "");
}

/* Host and port of an address; an IPv4 one that came as IPv6 is shown as IPv4. */
static void name_address(const struct sockaddr_storage *a, struct own_address *out) {
    out->host[0] = 0;
    out->port = 0;
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        inet_ntop(AF_INET, &in->sin_addr, out->host, sizeof out->host);
        out->port = ntohs(in->sin_port);
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)a;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
            inet_ntop(AF_INET, in->sin6_addr.s6_addr + 12, out->host, sizeof out->host);
        else
            inet_ntop(AF_INET6, &in->sin6_addr, out->host, sizeof out->host);
        out->port = ntohs(in->sin6_port);
    }
}

void sockets_address(const struct sockets *k, char *out, size_t cap) {
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    struct own_address own;
    getsockname(k->listener, (struct sockaddr *)&a, &len);
    name_address(&a, &own);
    snprintf(out, cap, strchr(own.host, ':') ? "http://[%s]:%d" : "http://%s:%d", own.host,
             own.port);
}

/* ---- connections ---- */

static void drop_at(struct sockets *k, size_t i, double now) {
    connection_close(k, k->connections[i], now);
    k->connections[i] = k->connections[--k->n];
    atomic_store(&k->server->metrics.connections, k->n);
    k->were_many |= k->n >= MANY;
    if (!k->n && k->were_many) {
        k->were_many = false;
        server_give_memory_back();
    }
}

/* The longest idle one leaves. False: none is idle. */
static bool drop_idle(struct sockets *k, double now) {
    size_t oldest = k->n;
    for (size_t i = 0; i < k->n; i++)
        if (connection_is_idle(k->connections[i]) &&
            (oldest == k->n || k->connections[i]->since < k->connections[oldest]->since))
            oldest = i;
    if (oldest == k->n)
        return false;
    drop_at(k, oldest, now);
    return true;
}

/* At most half come from one address, this machine's own aside. */
static bool has_too_many(const struct sockets *k, const char *peer) {
    size_t n = 0;
    if (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 || !peer[0])
        return false;
    for (size_t i = 0; i < k->n; i++)
        n += strcmp(k->connections[i]->peer, peer) == 0;
    return n >= k->max / 2;
}

bool sockets_adopt(struct sockets *k, int fd, const struct own_address *own, const char *peer,
                   double now) {
    if (has_too_many(k, peer) || (k->n == k->max && !drop_idle(k, now)))
        return false;
    struct connection *c = connection_open(k, fd, own, peer, now);
    if (!c)
        return false;
    k->connections[k->n++] = c;
    atomic_store(&k->server->metrics.connections, k->n);
    return true;
}

static void accept_all(struct sockets *k, double now) {
    for (int i = 0; i < ACCEPTED_AT_ONCE; i++) {
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof a;
        struct own_address peer, own;
        const int on = 1;
        const int fd =
            accept4(k->listener, (struct sockaddr *)&a, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                k->accept_again = now + 1;
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        name_address(&a, &peer);
        len = sizeof a;
        getsockname(fd, (struct sockaddr *)&a, &len);
        name_address(&a, &own);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!sockets_adopt(k, fd, &own, peer.host, now))
            close(fd);
    }
}

/* ---- rounds ---- */

static void empty_wake(int fd) {
    uint64_t n;
    while (read(fd, &n, sizeof n) > 0)
        continue;
}

void sockets_round(struct sockets *k, int wait_ms) {
    struct pollfd fds[2 + SOCKETS_MAX];
    size_t n = 0;
    const bool accepts = !atomic_load(&k->server->stopping) && seconds_now() >= k->accept_again;
    fds[n++] = (struct pollfd){.fd = k->server->wake, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = accepts ? k->listener : -1, .events = POLLIN};
    const size_t first = n, n_connections = k->n;
    for (size_t i = 0; i < k->n; i++)
        fds[n++] = (struct pollfd){.fd = k->connections[i]->fd,
                                   .events = connection_events(k->connections[i])};
    if (poll(fds, n, wait_ms) < 0) /* a signal, perhaps one of many: time passes all the same */
        for (size_t i = 0; i < n; i++)
            fds[i].revents = 0;
    const double now = seconds_now();
    if (fds[0].revents)
        empty_wake(k->server->wake);
    for (size_t i = 0; i < n_connections; i++)
        connection_step(k, k->connections[i], fds[first + i].revents, now);
    for (size_t i = k->n; i-- > 0;)
        if (k->connections[i]->state == CONNECTION_CLOSED)
            drop_at(k, i, now);
    if (fds[1].revents)
        accept_all(k, now);
}

static void stop_listening(struct sockets *k) {
    if (k->listener >= 0)
        close(k->listener);
    k->listener = -1;
}

void sockets_run(struct sockets *k) {
    double until = 0;
    while (atomic_load(&k->server->stopping) < 2) {
        sockets_round(k, k->n || k->accept_again > 0 ? ROUND_MS : -1);
        if (!atomic_load(&k->server->stopping))
            continue;
        stop_listening(k);
        if (!until)
            until = seconds_now() + (double)k->server->options->grace;
        if (!k->n || seconds_now() >= until)
            return;
    }
}

void sockets_close(struct sockets *k) {
    const double now = seconds_now();
    while (k->n)
        drop_at(k, k->n - 1, now);
    stop_listening(k);
}
