/*
 * From bytes to tokens: which of a vocabulary's pieces can follow.
 *
 * Going through the tree of all pieces' prefixes, a byte is tried once for all pieces that share
 * the prefix, and a prefix that cannot follow takes all its pieces with it. Inside of a lexeme (a
 * string, a number) most pieces of the vocabulary can follow, and which do depends on the lexeme's
 * state alone but for those that go beyond its end: what stays inside is found by the lexeme's
 * table without any stacks, and kept; where pieces leave it, the stacks go on. Whole masks are kept
 * by state, counts as far as they matter.
 */
#include "src/base/error.h"
#include "src/constraint/grammar.h"
#include "src/constraint/json_schema.h"
#include "src/constraint/vocabulary.h"
#include "src/model/model.h"
#include "src/os/mem.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define N_MASKS   128 /* by state */
#define MASK_KEYS 512
#define N_INSIDES 256 /* by state of a lexeme */
#define MAX_EXITS 256
#define COUNT_FAR UINT32_MAX

/* What was allowed in a state. */
struct mask {
    uint32_t key[MASK_KEYS]; /* [n_key] matcher_state */
    size_t n_key;
    uint64_t *bits; /* [n_words] by id, end ids not marked */
    size_t n_allowed;
};

/* What stays inside of a lexeme, and the nodes where pieces leave it. */
struct inside {
    bool used;
    uint32_t lexeme, state, count; /* where the count does not matter: a table, COUNT_FAR */
    uint64_t *bits;
    uint32_t n_exits, exits[MAX_EXITS];
};

struct bise_grammar {
    const struct bise_model *model;
    struct grammar grammar;
    struct matcher *matcher;
    struct vocabulary vocabulary;
    size_t n_words; /* of 64 ids */
    uint64_t *bits; /* [N_MASKS + N_INSIDES + 2][n_words] */
    struct mask *masks;
    struct inside *insides;
    size_t next_mask, next_inside; /* are overwritten next */
    struct inside passing;         /* one that is not kept */
    uint32_t states[MATCHER_MAX_DEPTH + 1], counts[MATCHER_MAX_DEPTH + 1];
};

/* ---- opening ---- */

static bool open_masks(struct bise_grammar *g) {
    const size_t n = g->n_words;
    g->bits = mem_alloc((N_MASKS + N_INSIDES + 2) * n * sizeof *g->bits);
    g->masks = calloc(N_MASKS, sizeof *g->masks);
    g->insides = calloc(N_INSIDES, sizeof *g->insides);
    if (!g->bits || !g->masks || !g->insides)
        return false;
    for (size_t i = 0; i < N_MASKS; i++)
        g->masks[i].bits = g->bits + i * n;
    for (size_t i = 0; i < N_INSIDES; i++)
        g->insides[i].bits = g->bits + (N_MASKS + i) * n;
    g->passing.bits = g->bits + (N_MASKS + N_INSIDES) * n;
    return true;
}

/* Tokens that the grammar names, by their ids. */
static enum bise_status resolve_tokens(struct bise_grammar *g, struct bise_error *err) {
    for (size_t i = 0; i < g->grammar.n_tokens; i++) {
        struct token_reference *t = &g->grammar.tokens[i];
        const char *text = g->grammar.token_texts + t->at;
        if (t->id < 0)
            t->id = tokenizer_find(g->model->tokenizer, text, t->n);
        if (t->id < 0 || (size_t)t->id >= tokenizer_size(g->model->tokenizer) ||
            (size_t)t->id >= g->model->config.vocab_size)
            return bise_fail(err, BISE_ERR_ARG,
                             "grammar: expected a token of the vocabulary, found %.*s%s",
                             (int)(t->n < 64 ? t->n : 64), text, t->n ? "" : "an id beyond it");
    }
    return BISE_OK;
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
    g->n_words = ((size_t)model->config.vocab_size + 63) / 64;
    enum bise_status status = parse(&g->grammar, text, len, err);
    if (!status)
        status = resolve_tokens(g, err);
    if (!status)
        status = matcher_open(&g->matcher, &g->grammar, err);
    if (!status && !(vocabulary_open(&g->vocabulary, model->tokenizer, model->config.vocab_size) &&
                     open_masks(g)))
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

const char *bise_grammar_note(const struct bise_grammar *g) {
    return g->grammar.note;
}

void bise_grammar_close(struct bise_grammar **grammar) {
    if (!grammar || !*grammar)
        return;
    struct bise_grammar *g = *grammar;
    matcher_close(&g->matcher);
    grammar_free(&g->grammar);
    vocabulary_close(&g->vocabulary);
    mem_free(g->bits, (N_MASKS + N_INSIDES + 2) * g->n_words * sizeof *g->bits);
    free(g->masks);
    free(g->insides);
    free(g);
    *grammar = NULL;
}

void bise_grammar_begin(struct bise_grammar *g, bool space) {
    matcher_begin(g->matcher, space);
}

bool bise_grammar_may_end(const struct bise_grammar *g) {
    return matcher_may_end(g->matcher);
}

/* ---- inside of a lexeme ---- */

static void mark(uint64_t *bits, int32_t id) {
    bits[id >> 6] |= (uint64_t)1 << (id & 63);
}

static void mark_node(const struct vocabulary *v, size_t node, uint64_t *bits) {
    for (uint32_t i = v->firsts[node]; i < v->firsts[node + 1]; i++)
        mark(bits, v->ids[i]);
}

/* The pieces that begin inside of the lexeme. False if there are too many ways out to keep, or it
 * is too much work; a step takes half of what one of stacks does. */
static bool find_inside(struct bise_grammar *g, struct inside *to, const struct top *top) {
    const struct vocabulary *v = &g->vocabulary;
    const struct lexeme *l = &g->grammar.lexemes[top->value];
    const struct table *t = &g->grammar.tables[l->table];
    const bool counted = to->count != COUNT_FAR;
    memset(to->bits, 0, g->n_words * sizeof *to->bits);
    to->n_exits = 0;
    g->states[0] = top->state;
    g->counts[0] = top->count;
    for (size_t i = 1; i < v->n_nodes;) {
        if (i % 2 && !matcher_spend(g->matcher, 1))
            return false;
        const size_t depth = v->depths[i];
        uint32_t count = g->counts[depth - 1];
        const uint32_t state = counted
                                   ? lexeme_next(l, t, g->states[depth - 1], v->bytes[i], &count)
                                   : table_next(t, g->states[depth - 1], v->bytes[i]);
        if (!state) {
            i = v->skips[i];
            continue;
        }
        g->states[depth] = state;
        g->counts[depth] = count;
        mark_node(v, i, to->bits);
        const bool ends =
            counted ? lexeme_may_end(l, t, state, count) : t->accepts[state] & TABLE_ACCEPTS;
        if (ends && v->skips[i] > i + 1) {
            if (to->n_exits == MAX_EXITS)
                return false;
            to->exits[to->n_exits++] = (uint32_t)i;
        }
        i = t->accepts[state] & TABLE_GOES_ON ? i + 1 : v->skips[i];
    }
    return true;
}

/* Whether the limits cannot be reached within a piece. */
static bool is_far(const struct bise_grammar *g, const struct top *top) {
    const struct lexeme *l = &g->grammar.lexemes[top->value];
    const uint64_t reach = (uint64_t)g->vocabulary.longest + g->grammar.tables[l->table].longest;
    return top->count >= l->min && (l->max == REPEAT_FOREVER || l->max - top->count > reach) &&
           !l->lengths;
}

/* From what was kept, or found anew. NULL where there are too many ways out. */
static const struct inside *inside_of(struct bise_grammar *g, const struct top *top) {
    const struct lexeme *l = &g->grammar.lexemes[top->value];
    const bool far = is_far(g, top);
    const struct inside key = {.used = true,
                               .lexeme = far ? l->table : top->value,
                               .state = top->state,
                               .count = far ? COUNT_FAR : top->count};
    for (size_t i = 0; i < N_INSIDES; i++) {
        const struct inside *in = &g->insides[i];
        if (in->used && in->lexeme == key.lexeme && in->state == key.state &&
            in->count == key.count)
            return in;
    }
    /* Near the upper limit each state comes once. */
    struct inside *to = far || top->count < l->min || !top->count
                            ? &g->insides[g->next_inside++ % N_INSIDES]
                            : &g->passing;
    to->used = false;
    to->lexeme = key.lexeme;
    to->state = key.state;
    to->count = key.count;
    if (!find_inside(g, to, top))
        return NULL;
    to->used = true;
    return to;
}

/* ---- masks ---- */

/* Marks the pieces of the nodes from .. end that can follow, their first base bytes not counted. */
static void walk(struct bise_grammar *g, size_t from, size_t end, size_t base, uint64_t *bits) {
    const struct vocabulary *v = &g->vocabulary;
    struct byte_set first[2];
    size_t looked[2] = {SIZE_MAX, SIZE_MAX}; /* depths that first is of */
    for (size_t i = from; i < end;) {
        const size_t depth = v->depths[i] - base - 1;
        if (depth < 2) {
            if (looked[depth] == SIZE_MAX) {
                matcher_first_bytes(g->matcher, depth, &first[depth]);
                looked[depth] = depth;
            }
            if (!byte_set_has(&first[depth], v->bytes[i])) {
                i = v->skips[i];
                continue;
            }
        }
        if (!matcher_try(g->matcher, depth, v->bytes[i])) {
            i = v->skips[i];
            continue;
        }
        if (depth == 0)
            looked[1] = SIZE_MAX;
        mark_node(v, i, bits);
        i++;
    }
}

/* What a top that is a lexeme lets through; false where not all of that was marked. */
static bool mark_lexeme(struct bise_grammar *g, size_t i, const struct top *top, uint64_t *bits) {
    const struct vocabulary *v = &g->vocabulary;
    const struct inside *in = inside_of(g, top);
    if (!in)
        return false;
    for (size_t w = 0; w < g->n_words; w++)
        bits[w] |= in->bits[w];
    if (!in->n_exits || !matcher_try_after(g->matcher, i))
        return true;
    for (uint32_t e = 0; e < in->n_exits; e++)
        walk(g, in->exits[e] + 1, v->skips[in->exits[e]], v->depths[in->exits[e]], bits);
    return true;
}

static void mark_token(struct bise_grammar *g, const struct token_reference *t, uint64_t *bits) {
    const struct vocabulary *v = &g->vocabulary;
    if (!t->negated) {
        mark(bits, t->id);
        return;
    }
    for (size_t i = 0; i < v->n_ids; i++)
        if (v->ids[i] != t->id)
            mark(bits, v->ids[i]);
}

/* Marks the pieces that can follow. */
static void mark_pieces(struct bise_grammar *g, uint64_t *bits) {
    struct matcher *m = g->matcher;
    const size_t n = matcher_n_tops(m), n_nodes = g->vocabulary.n_nodes;
    const bool space = matcher_may_space(m); /* then stacks alone know what follows it */
    bool whole = space;
    memset(bits, 0, g->n_words * sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        const struct top top = matcher_top(m, i);
        if (top.kind == ELEMENT_TOKEN)
            mark_token(g, &g->grammar.tokens[top.value], bits);
        else if (top.kind == ELEMENT_LEXEME && !space)
            whole |= !mark_lexeme(g, i, &top, bits);
    }
    if (whole)
        matcher_try_all(m);
    if (whole || matcher_try_others(m))
        walk(g, 1, n_nodes, 0, bits);
}

static size_t count_bits(const uint64_t *bits, size_t n_words) {
    size_t n = 0;
    for (size_t i = 0; i < n_words; i++)
        n += (size_t)__builtin_popcountll(bits[i]);
    return n;
}

/* The mask of the state, from what was kept or found anew; NULL where memory did not do. */
static const struct mask *find_mask(struct bise_grammar *g) {
    uint32_t key[MASK_KEYS];
    matcher_rewind(g->matcher);
    const size_t n_key = matcher_state(g->matcher, g->vocabulary.longest, key, MASK_KEYS);
    for (size_t i = 0; n_key && i < N_MASKS; i++) {
        const struct mask *m = &g->masks[i];
        if (m->n_key == n_key && memcmp(m->key, key, n_key * sizeof *key) == 0)
            return m;
    }
    struct mask *m = &g->masks[g->next_mask++ % N_MASKS];
    m->n_key = 0;
    mark_pieces(g, m->bits);
    if (matcher_is_full(g->matcher))
        return NULL;
    matcher_rewind(g->matcher);
    m->n_allowed = count_bits(m->bits, g->n_words);
    memcpy(m->key, key, n_key * sizeof *key);
    m->n_key = n_key;
    return m;
}

/* A byte of 0 or 1 for each bit. */
static void spread(const uint64_t *bits, uint8_t *allowed, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const uint64_t eight = bits[i >> 6] >> (i & 63) & 0xff;
        /* A copy of all eight in each byte, of which one bit stays and is brought down. */
        const uint64_t one = eight * 0x0101010101010101u & 0x8040201008040201u;
        const uint64_t bytes = (one + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
        for (unsigned k = 0; k < 8; k++)
            allowed[i + k] = (uint8_t)(bytes >> 8 * k);
    }
    for (; i < n; i++)
        allowed[i] = bits[i >> 6] >> (i & 63) & 1;
}

/* There was no way on because something gave out. */
static enum bise_status give_out(const struct bise_grammar *g, struct bise_error *err) {
    if (matcher_is_tired(g->matcher))
        return bise_fail(err, BISE_ERR_ARG,
                         "grammar: from here on there are more ways to go on than can be looked at "
                         "in time; expected fewer alternatives that begin alike");
    return bise_fail(err, BISE_ERR_MEMORY,
                     "grammar: the text is deeper inside its rules than there is room for");
}

enum bise_status bise_grammar_allowed(struct bise_grammar *g, uint8_t *allowed,
                                      struct bise_error *err) {
    const struct model_config *c = &g->model->config;
    const struct mask *m = find_mask(g);
    size_t n = m ? m->n_allowed : 0;
    if (m)
        spread(m->bits, allowed, c->vocab_size);
    else
        memset(allowed, 0, c->vocab_size);
    if (matcher_may_end(g->matcher))
        for (uint32_t i = 0; i < c->n_eos; i++, n++)
            allowed[c->eos_ids[i]] = 1;
    if (!m)
        return give_out(g, err);
    if (!n)
        return bise_fail(err, BISE_ERR_ARG, "grammar: no token of the vocabulary can follow");
    return BISE_OK;
}

enum bise_status bise_grammar_accept(struct bise_grammar *g, int32_t id, struct bise_error *err) {
    size_t len = 0;
    const bool known = id >= 0 && (size_t)id < tokenizer_size(g->model->tokenizer);
    const char *piece = known ? vocabulary_piece(g->model->tokenizer, id, &len) : NULL;
    if (known && matcher_accept_token(g->matcher, id, piece, len))
        return BISE_OK;
    if (matcher_is_full(g->matcher))
        return give_out(g, err);
    return bise_fail(err, BISE_ERR_ARG, "grammar: id %d cannot follow", id);
}
