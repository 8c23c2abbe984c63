/* What is asked for: paths and methods, and everything that is answered without the engine. */
#ifndef BISE_TOOLS_SERVE_ROUTES_H
#define BISE_TOOLS_SERVE_ROUTES_H

#include "tools/serve/server.h"

enum route_kind {
    ROUTE_ANSWER, /* there is an answer already */
    ROUTE_REFUSE, /* there is a fault; the body, if any, is not read */
    ROUTE_BODY    /* the body is read, and a call made of it */
};

struct route {
    enum route_kind kind;
    int status;
    const char *type;  /* of the answer; NULL: it has no body */
    const char *allow; /* of 405 */
    bool is_page;
    bool is_cross; /* Access-Control headers belong to it: the Origin is another one, and allowed */
    struct buffer body;
    enum endpoint endpoint;
    uint32_t key;
    struct fault fault;
};

/* r is the caller's; its body is to be freed. */
void route_request(struct server *s, const struct http_head *h, const struct own_address *own,
                   struct route *r);

#endif
