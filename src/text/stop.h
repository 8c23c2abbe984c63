/* Stop strings: a stream of text that ends before the first of some given texts, wherever the
 * borders of its portions lie. */
#ifndef BISE_SRC_TEXT_STOP_H
#define BISE_SRC_TEXT_STOP_H

#include "src/bise.h"

#define STOP_MAX_TEXTS 16
#define STOP_MAX_BYTES 256

struct stop {
    const char *texts[STOP_MAX_TEXTS]; /* the caller's */
    size_t lens[STOP_MAX_TEXTS];
    size_t n;
    char held[STOP_MAX_BYTES]; /* the beginning of a stop string, perhaps */
    size_t n_held;
    bool hit;
};

/* Adds a text, which must stay where it is. False if it is empty, too long, or one too many. */
bool stop_add(struct stop *s, const char *text);
/* Begins a new stream. */
void stop_begin(struct stop *s);
/* Takes n bytes; writes what may be shown to out [n + STOP_MAX_BYTES] and returns its length. After
 * a hit (s->hit) nothing comes any more. */
size_t stop_put(struct stop *s, const char *bytes, size_t n, char *out);
/* Ends the stream: what was held without becoming a stop string. out [STOP_MAX_BYTES]. */
size_t stop_end(struct stop *s, char *out);

#endif
