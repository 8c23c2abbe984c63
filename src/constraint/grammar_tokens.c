/*
 * From bytes to tokens: which of a vocabulary's pieces can follow.
 *
 * The pieces are ordered by their bytes, and each knows how many bytes it has in common with the
 * one before it. Going through them in order is then a walk through the tree of all prefixes: a
 * byte is tried once for all pieces that share the prefix, and a prefix that cannot follow takes
 * all its pieces with it.
 */
#include "src/base/error.h"
#include "src/constraint/grammar.h"
#include "src/constraint/json_schema.h"
#include "src/model/model.h"
#include "src/os/mem.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define N_CACHED    8
#define CACHED_KEYS 256

/* What was allowed in a state: inside of a string or a number, the same state comes again and
 * again. */
struct cached {
    uint32_t key[CACHED_KEYS]; /* [n_key] matcher_state */
    size_t n_key;
    uint8_t *allowed; /* [vocab_size], end ids not marked */
    size_t n_allowed;
};

struct bise_grammar {
    const struct bise_model *model;
    struct grammar grammar;
    struct matcher *matcher;
    int32_t *order;   /* [n] ids of pieces with text, by their bytes */
    uint16_t *common; /* [n] bytes in common with the piece before */
    size_t n;
    struct cached cache[N_CACHED];
    size_t next_cached; /* is overwritten next */
};

static const char *piece_of(const struct tokenizer *t, int32_t id, size_t *len) {
    const enum piece_kind kind = tokenizer_kind(t, id);
    const char *piece = tokenizer_piece(t, id, len);
    if (kind == PIECE_CONTROL || kind == PIECE_UNKNOWN || kind == PIECE_UNUSED ||
        *len > MATCHER_MAX_DEPTH)
        *len = 0;
    return piece;
}

static size_t common_prefix(const char *a, size_t n_a, const char *b, size_t n_b) {
    size_t n = 0;
    while (n < n_a && n < n_b && a[n] == b[n])
        n++;
    return n;
}

static int compare_pieces(const void *a, const void *b, void *tokenizer) {
    const int32_t id_a = *(const int32_t *)a, id_b = *(const int32_t *)b;
    size_t n_a, n_b;
    const char *pa = piece_of(tokenizer, id_a, &n_a), *pb = piece_of(tokenizer, id_b, &n_b);
    const int order = memcmp(pa, pb, n_a < n_b ? n_a : n_b);
    if (order)
        return order;
    return n_a != n_b ? (n_a < n_b ? -1 : 1) : (id_a > id_b) - (id_a < id_b);
}

static bool order_pieces(struct bise_grammar *g) {
    struct tokenizer *t = g->model->tokenizer;
    const size_t n_vocab = g->model->config.vocab_size, n_pieces = tokenizer_size(t);
    g->order = malloc(n_pieces * sizeof *g->order);
    g->common = malloc(n_pieces * sizeof *g->common);
    if (!g->order || !g->common)
        return false;
    for (size_t i = 0; i < n_pieces && i < n_vocab; i++) {
        size_t len;
        piece_of(t, (int32_t)i, &len);
        if (len)
            g->order[g->n++] = (int32_t)i;
    }
    qsort_r(g->order, g->n, sizeof *g->order, compare_pieces, t);
    for (size_t i = 0; i < g->n; i++) {
        size_t n_a = 0, n_b;
        const char *a = i ? piece_of(t, g->order[i - 1], &n_a) : "";
        const char *b = piece_of(t, g->order[i], &n_b);
        g->common[i] = (uint16_t)common_prefix(a, n_a, b, n_b);
    }
    return true;
}

static bool open_cache(struct bise_grammar *g) {
    const size_t n_vocab = g->model->config.vocab_size;
    uint8_t *allowed = mem_alloc(N_CACHED * n_vocab);
    for (size_t i = 0; allowed && i < N_CACHED; i++)
        g->cache[i].allowed = allowed + i * n_vocab;
    return allowed;
}

typedef enum bise_status parse_fn(struct grammar *g, const char *text, size_t len,
                                  struct bise_error *err);

static enum bise_status open_by(parse_fn *parse, struct bise_grammar **grammar,
                                const struct bise_model *model, const char *text, size_t len,
                                struct bise_error *err) {
    *grammar = NULL;
    if (!model->tokenizer)
        return bise_fail(err, BISE_ERR_ARG, "grammar: the model file has no tokenizer");
    struct bise_grammar *g = calloc(1, sizeof *g);
    if (!g)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the grammar");
    g->model = model;
    enum bise_status status = parse(&g->grammar, text, len, err);
    if (!status)
        status = matcher_open(&g->matcher, &g->grammar, err);
    if (!status && !(order_pieces(g) && open_cache(g)))
        status = bise_fail(err, BISE_ERR_MEMORY, "no memory for the grammar");
    if (status) {
        bise_grammar_close(&g);
        return status;
    }
    *grammar = g;
    return BISE_OK;
}

enum bise_status bise_grammar_open(struct bise_grammar **grammar, const struct bise_model *model,
                                   const char *gbnf, size_t len, struct bise_error *err) {
    return open_by(grammar_parse, grammar, model, gbnf, len, err);
}

enum bise_status bise_grammar_open_schema(struct bise_grammar **grammar,
                                          const struct bise_model *model, const char *schema,
                                          size_t len, struct bise_error *err) {
    return open_by(json_schema_parse, grammar, model, schema, len, err);
}

void bise_grammar_close(struct bise_grammar **grammar) {
    if (!grammar || !*grammar)
        return;
    struct bise_grammar *g = *grammar;
    matcher_close(&g->matcher);
    grammar_free(&g->grammar);
    free(g->order);
    free(g->common);
    mem_free(g->cache[0].allowed, N_CACHED * (size_t)g->model->config.vocab_size);
    free(g);
    *grammar = NULL;
}

void bise_grammar_begin(struct bise_grammar *g, bool space) {
    matcher_begin(g->matcher, space);
}

bool bise_grammar_may_end(const struct bise_grammar *g) {
    return matcher_may_end(g->matcher);
}

/* Marks the pieces that can follow; returns how many. */
static size_t mark_pieces(struct bise_grammar *g, uint8_t *allowed) {
    size_t depth = 0, n_allowed = 0; /* bytes of the piece before that could follow */
    bool dead = false;               /* its next byte could not */
    for (size_t i = 0; i < g->n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(g->model->tokenizer, g->order[i], &len);
        if (dead && g->common[i] > depth)
            continue; /* the byte that could not follow is in this one, too */
        if (g->common[i] < depth)
            depth = g->common[i];
        dead = false;
        while (depth < len && !dead) {
            if (matcher_try(g->matcher, depth, (uint8_t)piece[depth]))
                depth++;
            else
                dead = true;
        }
        if (!dead) {
            allowed[g->order[i]] = 1;
            n_allowed++;
        }
    }
    return n_allowed;
}

/* As mark_pieces, from the cache where the state has been seen before. allowed is [n_vocab]. */
static size_t find_pieces(struct bise_grammar *g, uint8_t *allowed, size_t n_vocab, bool *full) {
    uint32_t key[CACHED_KEYS];
    matcher_rewind(g->matcher);
    const size_t n_key = matcher_state(g->matcher, key, CACHED_KEYS);
    *full = false;
    for (size_t i = 0; n_key && i < N_CACHED; i++) {
        const struct cached *c = &g->cache[i];
        if (c->n_key == n_key && memcmp(c->key, key, n_key * sizeof *key) == 0) {
            memcpy(allowed, c->allowed, n_vocab);
            return c->n_allowed;
        }
    }
    memset(allowed, 0, n_vocab);
    const size_t n = mark_pieces(g, allowed);
    *full = matcher_is_full(g->matcher);
    matcher_rewind(g->matcher);
    if (n_key && !*full) {
        struct cached *c = &g->cache[g->next_cached++ % N_CACHED];
        memcpy(c->key, key, n_key * sizeof *key);
        memcpy(c->allowed, allowed, n_vocab);
        c->n_key = n_key;
        c->n_allowed = n;
    }
    return n;
}

enum bise_status bise_grammar_allowed(struct bise_grammar *g, uint8_t *allowed,
                                      struct bise_error *err) {
    const struct model_config *c = &g->model->config;
    bool full;
    size_t n = find_pieces(g, allowed, c->vocab_size, &full);
    if (matcher_may_end(g->matcher))
        for (uint32_t i = 0; i < c->n_eos; i++, n++)
            allowed[c->eos_ids[i]] = 1;
    if (full)
        return bise_fail(err, BISE_ERR_MEMORY,
                         "grammar: the text is deeper inside its rules than there is room for");
    if (!n)
        return bise_fail(err, BISE_ERR_ARG, "grammar: no token of the vocabulary can follow");
    return BISE_OK;
}

enum bise_status bise_grammar_accept(struct bise_grammar *g, int32_t id, struct bise_error *err) {
    size_t len = 0;
    const char *piece = id >= 0 && (size_t)id < tokenizer_size(g->model->tokenizer)
                            ? piece_of(g->model->tokenizer, id, &len)
                            : NULL;
    if (len && matcher_accept(g->matcher, piece, len))
        return BISE_OK;
    if (matcher_is_full(g->matcher))
        return bise_fail(err, BISE_ERR_MEMORY,
                         "grammar: the text is deeper inside its rules than there is room for");
    return bise_fail(err, BISE_ERR_ARG, "grammar: id %d cannot follow", id);
}
