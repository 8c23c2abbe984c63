/* The thread that has the sockets: who is connected, what they send, what is sent back. */
#ifndef BISE_TOOLS_SERVE_SOCKETS_H
#define BISE_TOOLS_SERVE_SOCKETS_H

#include "tools/serve/server.h"

#define SOCKETS_MAX 256

struct connection;

struct sockets {
    struct server *server;
    int listener;                                /* -1: none */
    struct connection *connections[SOCKETS_MAX]; /* [n] */
    size_t n, max;
    bool were_many;      /* connections, since memory was given back */
    size_t body_bytes;   /* of bodies under way */
    double accept_again; /* no descriptors are left: nothing is accepted until then */
};

/* Listens at host and port; fault on stderr, then an exit code. */
int sockets_listen(struct sockets *k, struct server *s, const char *host, int port);
/* "http://127.0.0.1:8080" */
void sockets_address(const struct sockets *k, char *out, size_t cap);
/* Takes over a connected descriptor, as if it had been accepted. False: there is no room. */
bool sockets_adopt(struct sockets *k, int fd, const struct own_address *own, const char *peer,
                   double now);
/* One round: waits at most so many milliseconds, then does what is to be done. */
void sockets_round(struct sockets *k, int wait_ms);
/* Runs until the server stops, and those under way have ended or been cut. */
void sockets_run(struct sockets *k);
void sockets_close(struct sockets *k);

#endif
