#include "tools/serve/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KEY_FILE 65536

/* ---- keys ---- */

static int add_key(struct access *a, const char *text, size_t len, const char *from) {
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~') {
            return refuse(EXIT_INPUT, "%s: a key holds a space or a character beyond ASCII", from);
        }
    if (a->n_keys == ACCESS_MAX_KEYS) {
        return refuse(EXIT_INPUT, "%s: more than %d keys", from, ACCESS_MAX_KEYS);
    }
    char *copy = malloc(len + 1);
    if (!copy) {
        return refuse(EXIT_MEMORY, "no memory for the keys");
    }
    memcpy(copy, text, len);
    copy[len] = 0;
    a->keys[a->n_keys++] = (struct access_key){copy, len};
    return EXIT_DONE;
}

/* Lines of text; empty ones and those that begin with # are passed over. */
static int add_lines(struct access *a, const char *text, const char *from) {
    int code = EXIT_DONE;
    while (*text && !code) {
        size_t len = strcspn(text, "\n");
        const size_t step = text[len] ? len + 1 : len;
        while (len && (text[len - 1] == '\r' || text[len - 1] == ' ' || text[len - 1] == '\t'))
            len--;
        if (len && *text != '#')
            code = add_key(a, text, len, from);
        text += step;
    }
    return code;
}

static int read_key_file(struct access *a, const char *path) {
    static char text[MAX_KEY_FILE];
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        complain("%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EXIT_INPUT;
    }
    int code = EXIT_DONE;
    const ssize_t n = read(fd, text, sizeof text - 1);
    if (!S_ISREG(st.st_mode) || n < 0 || n == sizeof text - 1) {
        complain("%s: expected a file of at most 64 KB with one key a line", path);
        code = EXIT_INPUT;
    } else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        complain("%s may be read by others than its owner: chmod 600 makes it "
                 "private",
                 path);
        code = EXIT_INPUT;
    } else {
        text[n] = 0;
        const size_t before = a->n_keys;
        code = add_lines(a, text, path);
        if (!code && a->n_keys == before) {
            complain("%s holds no key", path);
            code = EXIT_INPUT;
        }
    }
    memset(text, 0, sizeof text);
    close(fd);
    return code;
}

int access_read_keys(struct access *a, const char *file) {
    const char *env = getenv("BISE_API_KEY");
    int code = EXIT_DONE;
    if (file)
        code = read_key_file(a, file);
    if (!code && env && env[0])
        code = add_key(a, env, strlen(env), "BISE_API_KEY");
    return code;
}

void access_close(struct access *a) {
    for (size_t i = 0; i < a->n_keys; i++)
        free(a->keys[i].text);
    a->n_keys = 0;
}

/* Looks at every byte of the key whatever shown holds. */
static bool same_key(const struct access_key *key, struct http_text shown) {
    volatile unsigned char differ = key->len != shown.len;
    for (size_t i = 0; i < key->len; i++)
        differ |= (unsigned char)(key->text[i] ^ (shown.len ? shown.at[i % shown.len] : 0));
    return !differ;
}

uint32_t access_key_of(const struct access *a, const struct http_head *h) {
    static const char scheme[] = "Bearer ";
    struct http_text shown = h->authorization;
    uint32_t found = KEY_NONE;
    if (!a->n_keys)
        return 0;
    if (!shown.at || shown.len < sizeof scheme - 1 ||
        !http_text_is((struct http_text){shown.at, sizeof scheme - 1}, scheme))
        return KEY_NONE;
    shown.at += sizeof scheme - 1;
    shown.len -= sizeof scheme - 1;
    for (size_t i = 0; i < a->n_keys; i++)
        if (same_key(&a->keys[i], shown))
            found = (uint32_t)i;
    return found;
}

/* ---- names ---- */

/* Splits "name:port", "[::1]:port" or "name"; port -1 where there is none, -2 where it is none. */
static struct http_text host_name(struct http_text t, int *port) {
    struct http_text name = t;
    size_t at = 0;
    *port = -1;
    if (t.len && t.at[0] == '[') {
        const char *close = memchr(t.at, ']', t.len);
        if (!close) {
            *port = -2;
            return name;
        }
        at = (size_t)(close - t.at) + 1;
        name = (struct http_text){t.at + 1, at - 2};
    } else {
        const char *colon = memchr(t.at, ':', t.len);
        at = colon ? (size_t)(colon - t.at) : t.len;
        name.len = at;
    }
    if (at == t.len)
        return name;
    *port = -2;
    if (t.at[at] != ':' || t.len - at < 2 || t.len - at > 6)
        return name;
    int value = 0;
    for (size_t i = at + 1; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return name;
        value = value * 10 + (t.at[i] - '0');
    }
    *port = value;
    return name;
}

static bool listed(const struct option_list *list, struct http_text whole, struct http_text name) {
    for (size_t i = 0; i < list->n; i++)
        if (http_text_is(whole, list->items[i]) || http_text_is(name, list->items[i]))
            return true;
    return false;
}

bool access_host_is_ours(const struct access *a, const struct http_head *h,
                         const struct own_address *own) {
    int port;
    const struct http_text name = host_name(h->host, &port);
    if (port == -2)
        return false;
    if (listed(&a->hosts, h->host, name))
        return true;
    if (http_text_is(name, "0.0.0.0") || http_text_is(name, "::") || !own->host[0])
        return false;
    return (http_text_is(name, "localhost") || http_text_is(name, own->host)) &&
           (port == -1 ? own->port == 80 : port == own->port);
}

bool access_origin_may_ask(const struct access *a, const struct http_head *h, bool *cross) {
    struct http_text origin = h->origin;
    *cross = false;
    if (!origin.at)
        return true;
    for (size_t i = 0; i < a->origins.n; i++)
        if (strcmp(a->origins.items[i], "*") == 0 || http_text_is(origin, a->origins.items[i])) {
            *cross = true;
            return !http_text_is(origin, "null");
        }
    for (size_t skip = 7; skip <= 8; skip++) { /* our own page, reached by this very Host */
        static const char *const schemes[] = {"http://", "https://"};
        if (origin.len > skip &&
            http_text_is((struct http_text){origin.at, skip}, schemes[skip - 7]) &&
            origin.len - skip == h->host.len &&
            memcmp(origin.at + skip, h->host.at, h->host.len) == 0)
            return true;
    }
    return false;
}
