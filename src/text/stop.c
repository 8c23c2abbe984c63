#include "src/text/stop.h"

#include <string.h>

bool stop_add(struct stop *s, const char *text) {
    const size_t len = strlen(text);
    if (!len || len > STOP_MAX_BYTES || s->n == STOP_MAX_TEXTS)
        return false;
    s->texts[s->n] = text;
    s->lens[s->n++] = len;
    return true;
}

void stop_begin(struct stop *s) {
    s->n_held = 0;
    s->hit = false;
}

/* Whether s->held from at on is a stop string, or the beginning of one. */
static bool may_stop(const struct stop *s, size_t at, bool *whole) {
    const size_t len = s->n_held - at;
    bool begins = false;
    *whole = false;
    for (size_t i = 0; i < s->n; i++) {
        if (len <= s->lens[i] && memcmp(s->held + at, s->texts[i], len) == 0) {
            begins = true;
            *whole |= len == s->lens[i];
        }
    }
    return begins;
}

size_t stop_put(struct stop *s, const char *bytes, size_t n, char *out) {
    size_t n_out = 0;
    for (size_t i = 0; i < n && !s->hit; i++) {
        s->held[s->n_held++] = bytes[i];
        size_t from = 0; /* what cannot be part of a stop string leaves */
        while (from < s->n_held && !may_stop(s, from, &s->hit))
            from++;
        /* A shorter stop string may end inside a longer one that is only begun. */
        for (size_t at = from + 1; at < s->n_held && !s->hit; at++)
            if (may_stop(s, at, &s->hit) && s->hit)
                from = at;
        memcpy(out + n_out, s->held, from);
        n_out += from;
        s->n_held -= from;
        memmove(s->held, s->held + from, s->n_held);
    }
    return n_out;
}

size_t stop_end(struct stop *s, char *out) {
    const size_t n = s->hit ? 0 : s->n_held;
    memcpy(out, s->held, n);
    s->n_held = 0;
    return n;
}
