#include "tools/common/nearest.h"

#include <string.h>

#define NEAREST_MAX_LEN 32 /* longer words are like no other */

/* How many letters must be added, left out, changed or swapped with their neighbour to make b
 * (NUL-terminated) of a (len bytes, at most NEAREST_MAX_LEN). */
static size_t edit_distance(const char *a, size_t len, const char *b) {
    size_t rows[3][NEAREST_MAX_LEN + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= len; j++)
        last[j] = j;
    for (size_t i = 1; b[i - 1]; i++) {
        now[0] = i;
        for (size_t j = 1; j <= len; j++) {
            const size_t change = last[j - 1] + (a[j - 1] != b[i - 1]);
            const size_t add = 1 + (last[j] < now[j - 1] ? last[j] : now[j - 1]);
            now[j] = change < add ? change : add;
            if (i > 1 && j > 1 && a[j - 1] == b[i - 2] && a[j - 2] == b[i - 1] &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *const oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[len];
}

void nearest_offer(struct nearest *n, const char *candidate) {
    if (n->len < 2 || n->len > NEAREST_MAX_LEN || (n->best && !n->distance))
        return;
    const size_t d =
        strncmp(n->word, candidate, n->len) == 0 ? 0 : edit_distance(n->word, n->len, candidate);
    if (d < 3 && d < n->len && (!n->best || d < n->distance)) {
        n->best = candidate;
        n->distance = d;
    }
}
