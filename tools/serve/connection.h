/* One connection: a request at a time, its limits of time and size, and its answer. The clock is
 * given, so that tests need not wait. */
#ifndef BISE_TOOLS_SERVE_CONNECTION_H
#define BISE_TOOLS_SERVE_CONNECTION_H

#include "tools/serve/sockets.h"

#define CONNECTION_HEAD_SECONDS    10
#define CONNECTION_BODY_SECONDS    60
#define CONNECTION_IDLE_SECONDS    60
#define CONNECTION_DRAIN_SECONDS   2
#define CONNECTION_SLOW_SECONDS    60 /* a reader takes so many bytes in it, or all */
#define CONNECTION_SLOW_BYTES      4096
#define CONNECTION_COMMENT_SECONDS 5

enum connection_state {
    CONNECTION_HEAD,   /* of a request, which may not have begun */
    CONNECTION_BODY,   /* of the request */
    CONNECTION_ANSWER, /* a call is under way, or its answer is being sent */
    CONNECTION_DRAIN,  /* all is sent: what still comes is thrown away until the end */
    CONNECTION_CLOSED
};

struct connection {
    int fd;
    enum connection_state state;
    struct own_address own;
    char peer[64];
    bool is_local; /* the peer is this machine */
    struct buffer in, out;
    size_t sent;                  /* of out */
    double since;                 /* when the state began, or the request's first byte came */
    double slow_since, last_sent; /* of a reader */
    size_t slow_sent;             /* bytes it took since */

    /* of the request */
    char method[24], path[256];
    double began;
    bool is_1_1, keep_alive, is_chunked, has_head, is_done, is_cross;
    bool is_head; /* the method: the answer is the same, without its body */
    char origin[256];
    struct http_body body;
    struct buffer body_bytes;
    enum endpoint endpoint;
    uint32_t key;
    struct call *call; /* NULL: none is under way */
    int status;
};

struct connection *connection_open(struct sockets *k, int fd, const struct own_address *own,
                                   const char *peer, double now);
void connection_close(struct sockets *k, struct connection *c, double now);
/* The events of poll that it waits for. */
short connection_events(const struct connection *c);
/* Something came (events of poll), or time has passed. */
void connection_step(struct sockets *k, struct connection *c, short events, double now);
/* Nothing of a request has come. */
bool connection_is_idle(const struct connection *c);

#endif
