#include "src/constraint/vocabulary.h"

#include "src/constraint/grammar.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

const char *vocabulary_piece(const struct tokenizer *t, int32_t id, size_t *len) {
    const enum piece_kind kind = tokenizer_kind(t, id);
    const char *piece = tokenizer_piece(t, id, len);
    if (kind == PIECE_CONTROL || kind == PIECE_UNKNOWN || kind == PIECE_UNUSED ||
        *len > MATCHER_MAX_DEPTH)
        *len = 0;
    return *len ? piece : NULL;
}

struct piece {
    uint64_t key; /* its first bytes, so that few comparisons look further */
    const char *text;
    uint32_t len;
    int32_t id;
};

static int compare_pieces(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    const int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    if (order)
        return order;
    return x->len != y->len ? (x->len < y->len ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

static size_t common_prefix(const struct piece *a, const struct piece *b) {
    size_t n = 0;
    while (n < a->len && n < b->len && a->text[n] == b->text[n])
        n++;
    return n;
}

/* By their first two bytes, then what is left in each of these piles. */
static bool sort_pieces(struct piece *pieces, size_t n) {
    uint32_t *ends = calloc(65537, sizeof *ends);
    struct piece *sorted = malloc((n + 1) * sizeof *sorted);
    if (ends && sorted) {
        for (size_t i = 0; i < n; i++)
            ends[(pieces[i].key >> 48) + 1]++;
        for (size_t i = 0; i < 65536; i++)
            ends[i + 1] += ends[i];
        for (size_t i = 0; i < n; i++)
            sorted[ends[pieces[i].key >> 48]++] = pieces[i];
        for (size_t i = 0, first = 0; i < 65536; first = ends[i++])
            if (ends[i] > first + 1)
                qsort(sorted + first, ends[i] - first, sizeof *sorted, compare_pieces);
        memcpy(pieces, sorted, n * sizeof *pieces);
    }
    const bool good = ends && sorted;
    free(ends);
    free(sorted);
    return good;
}

/* Lays the nodes of sorted pieces out. path [longest + 1]: nodes on the way to the last one. */
static void put_nodes(struct vocabulary *v, const struct piece *pieces, size_t n, uint32_t *path) {
    size_t depth = 0;
    v->n_nodes = 1;
    path[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t common = i ? common_prefix(&pieces[i - 1], &pieces[i]) : 0;
        for (; depth > common; depth--)
            v->skips[path[depth]] = (uint32_t)v->n_nodes;
        while (depth < pieces[i].len) {
            const size_t node = v->n_nodes++;
            v->bytes[node] = (uint8_t)pieces[i].text[depth++];
            v->depths[node] = (uint16_t)depth;
            v->firsts[node] = (uint32_t)i;
            path[depth] = (uint32_t)node;
        }
        v->ids[i] = pieces[i].id;
        v->firsts[v->n_nodes] = (uint32_t)i + 1;
    }
    for (; depth > 0; depth--)
        v->skips[path[depth]] = (uint32_t)v->n_nodes;
    v->skips[0] = (uint32_t)v->n_nodes;
    v->n_ids = n;
}

bool vocabulary_open(struct vocabulary *v, const struct tokenizer *t, size_t n_vocab) {
    const size_t n_pieces = tokenizer_size(t) < n_vocab ? tokenizer_size(t) : n_vocab;
    struct piece *pieces = malloc((n_pieces + 1) * sizeof *pieces);
    size_t n = 0, n_bytes = 0;
    *v = (struct vocabulary){.longest = 0};
    for (size_t i = 0; pieces && i < n_pieces; i++) {
        size_t len;
        const char *text = vocabulary_piece(t, (int32_t)i, &len);
        struct piece *p = &pieces[n];
        if (!text)
            continue;
        *p = (struct piece){.text = text, .len = (uint32_t)len, .id = (int32_t)i};
        for (size_t k = 0; k < 8; k++)
            p->key = p->key << 8 | (k < len ? (uint8_t)text[k] : 0);
        v->longest = p->len > v->longest ? p->len : v->longest;
        n_bytes += len;
        n++;
    }
    uint32_t *path = malloc((v->longest + 1) * sizeof *path);
    v->bytes = malloc(n_bytes + 1);
    v->depths = malloc((n_bytes + 1) * sizeof *v->depths);
    v->skips = malloc((n_bytes + 1) * sizeof *v->skips);
    v->firsts = malloc((n_bytes + 2) * sizeof *v->firsts);
    v->ids = malloc((n + 1) * sizeof *v->ids);
    const bool good = pieces && path && v->bytes && v->depths && v->skips && v->firsts && v->ids &&
                      sort_pieces(pieces, n);
    if (good) {
        v->bytes[0] = 0;
        v->depths[0] = 0;
        v->firsts[0] = v->firsts[1] = 0;
        put_nodes(v, pieces, n, path);
    }
    free(pieces);
    free(path);
    return good;
}

void vocabulary_close(struct vocabulary *v) {
    free(v->bytes);
    free(v->depths);
    free(v->skips);
    free(v->firsts);
    free(v->ids);
}
