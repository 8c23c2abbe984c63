/* Who may ask: keys, and against pages of other sites (DNS rebinding, forged requests) the names
 * that Host and Origin may hold. */
#ifndef BISE_TOOLS_SERVE_ACCESS_H
#define BISE_TOOLS_SERVE_ACCESS_H

#include "tools/common/tools.h"
#include "tools/serve/http.h"

#define ACCESS_MAX_KEYS 256

struct access_key {
    char *text;
    size_t len;
};

struct access {
    struct access_key keys[ACCESS_MAX_KEYS]; /* [n_keys]; none: everybody may ask */
    size_t n_keys;
    struct option_list hosts;   /* --allow-host: names without or with a port */
    struct option_list origins; /* --allow-origin: scheme://name[:port], or * */
};

/* The own end of a connection: "127.0.0.1", "::1", ..., and its port. */
struct own_address {
    char host[64];
    int port;
};

/* Keys of a file, one a line; refused where others may read it. And of the environment's
 * BISE_API_KEY. file may be NULL. Returns an exit code, the fault said on stderr. */
int access_read_keys(struct access *a, const char *file);
void access_close(struct access *a);

#define KEY_NONE UINT32_MAX

/* The number of the key that the request shows, 0 where none is asked for; KEY_NONE: it shows none
 * that is known. Takes the same time wherever a key differs. */
uint32_t access_key_of(const struct access *a, const struct http_head *h);
bool access_host_is_ours(const struct access *a, const struct http_head *h,
                         const struct own_address *own);
/* Whether the request's Origin, where it has one, may ask: our own page's, or one that is allowed.
 * *cross: it is one of the latter, and has to be told so. */
bool access_origin_may_ask(const struct access *a, const struct http_head *h, bool *cross);

#endif
