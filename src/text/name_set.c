#include "src/text/name_set.h"

#include <stdlib.h>
#include <string.h>

bool name_set_open(struct name_set *m, size_t n) {
    *m = (struct name_set){0};
    m->names = malloc((n + 1) * sizeof *m->names);
    return m->names != NULL;
}

void name_set_add(struct name_set *m, struct set_name name) {
    m->names[m->n++] = name;
}

static int by_text(const void *a, const void *b) {
    const struct set_name *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* In the order of their bytes, so that the longest match is a walk down ranges. */
void name_set_sort(struct name_set *m) {
    if (m->n > 1)
        qsort(m->names, m->n, sizeof *m->names, by_text);
    for (size_t i = 0; i < m->n; i++)
        m->begins[(uint8_t)m->names[i].text[0]] = true;
}

/* First of the names lo..hi-1 whose byte number depth is at least byte. They share their first
 * depth bytes and are longer than that. */
static size_t lower_bound(const struct name_set *m, size_t lo, size_t hi, size_t depth,
                          unsigned byte) {
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if ((uint8_t)m->names[mid].text[depth] < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct set_name *name_set_longest(const struct name_set *m, const char *s, size_t n) {
    const struct set_name *longest = NULL;
    size_t lo = 0, hi = m->n;
    if (n == 0 || !m->begins[(uint8_t)*s])
        return NULL;
    for (size_t depth = 0; lo < hi; depth++) {
        while (lo < hi && m->names[lo].len == depth) /* sorted: only the first can be */
            longest = &m->names[lo++];
        if (depth == n)
            break;
        const unsigned byte = (uint8_t)s[depth];
        lo = lower_bound(m, lo, hi, depth, byte);
        hi = lower_bound(m, lo, hi, depth, byte + 1);
    }
    return longest;
}

void name_set_close(struct name_set *m) {
    free(m->names);
    *m = (struct name_set){0};
}
