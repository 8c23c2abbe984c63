/* Automata over characters become tables over bytes: UTF-8, and the escapes of JSON strings. */
#include "src/base/array.h"
#include "src/constraint/grammar_build.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TABLE_STATES 60000u
/* Behind \u; of 1 to 3 bytes, of 1 to 4 digits still to come; a row with these leading bytes. */
enum { MEMO_CODE, MEMO_LEADS = 8, N_MEMOS };

#define MAX_LENGTHS (1u << 19)

/* A table being made: rows of 256, equal ones once unless they lie between characters. */
struct rows {
    const struct automaton *a;
    const uint8_t *live;
    uint32_t *next; /* [cap][256] */
    uint8_t *accepts;
    size_t n, cap;
    uint32_t *slots; /* 1 + row, 0: free */
    size_t n_slots;
    uint32_t *memo; /* [n_states of a + 1][N_MEMOS] by the state that all characters lead to */
    struct budget *budget;
};

/* The table's state for a state of the automaton: 0 where no text can be accepted any more. */
static uint32_t state_of(const struct rows *r, uint32_t s) {
    return r->live[s] ? s + 1 : 0;
}

static bool grow_rows(struct rows *r) {
    const bool may = r->n < r->cap || r->cap <= MAX_TABLE_STATES;
    size_t cap = r->cap;
    if (may && array_grow(&r->next, &cap, r->n + 1, 256 * sizeof *r->next) &&
        array_grow(&r->accepts, &r->cap, r->n + 1, 1))
        return true;
    r->budget->left = 0;
    r->budget->no_memory |= may;
    return false;
}

static uint64_t hash_row(const uint32_t *row) {
    uint64_t h = 7;
    for (int i = 0; i < 256; i++)
        h = (h ^ row[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

static bool rehash_rows(struct rows *r) {
    const size_t n = r->n_slots ? 2 * r->n_slots : 64;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) {
        r->budget->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < r->n_slots; i++) {
        if (!r->slots[i])
            continue;
        size_t s = hash_row(r->next + 256 * (size_t)(r->slots[i] - 1)) & (n - 1);
        while (slots[s])
            s = (s + 1) & (n - 1);
        slots[s] = r->slots[i];
    }
    free(r->slots);
    r->slots = slots;
    r->n_slots = n;
    return true;
}

/* The state with that row, inside of a character. 0 where the row leads nowhere, or on failure. */
static uint32_t row_state(struct rows *r, const uint32_t *row) {
    bool any = false;
    for (int i = 0; i < 256 && !any; i++)
        any = row[i] != 0;
    if (!any || !budget_take(r->budget, 40) || (2 * (r->n + 1) > r->n_slots && !rehash_rows(r)) ||
        !grow_rows(r))
        return 0;
    size_t s = hash_row(row) & (r->n_slots - 1);
    for (; r->slots[s]; s = (s + 1) & (r->n_slots - 1))
        if (memcmp(r->next + 256 * (size_t)(r->slots[s] - 1), row, 256 * sizeof *row) == 0)
            return r->slots[s] - 1;
    memcpy(r->next + 256 * r->n, row, 256 * sizeof *row);
    r->accepts[r->n] = 0;
    r->slots[s] = (uint32_t)r->n + 1;
    return (uint32_t)r->n++;
}

/* ---- characters ---- */

/* Where state s goes by the character; *last: the last one for which that is so. */
static uint32_t target(const struct rows *r, uint32_t s, uint32_t code, uint32_t *last) {
    const struct automaton *a = r->a;
    uint32_t lo = a->first[s], hi = a->first[s + 1];
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (a->edges[mid].lo <= code)
            lo = mid;
        else
            hi = mid;
    }
    *last = lo + 1 < a->first[s + 1] ? a->edges[lo + 1].lo - 1 : CHARACTER_MAX;
    return state_of(r, a->edges[lo].to);
}

/* How the digits of a character's number are written: as UTF-8's later bytes, six bits each, or as
 * hexadecimal digits behind \u. Halves of surrogate pairs are never written; by \u only control
 * characters and those beyond ASCII are. */
enum digits { CONTINUATIONS = 6, HEXADECIMAL = 4 };

/* Whether no character from lo to hi (all: not every one) is written in this way. */
static bool is_unwritten(enum digits form, uint32_t lo, uint32_t hi, bool all) {
    const bool surrogates = all ? lo >= 0xd800 && hi <= 0xdfff : lo <= 0xdfff && hi >= 0xd800;
    const bool plain = all ? lo >= 0x20 && hi <= 0x7e : lo <= 0x7e && hi >= 0x20;
    return surrogates || (form == HEXADECIMAL && plain) || (all && lo > CHARACTER_MAX);
}

static void put_digit(uint32_t *row, enum digits form, uint32_t digit, uint32_t to) {
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    if (form == CONTINUATIONS)
        row[0x80 + digit] = to;
    else
        row[(uint8_t)lower[digit]] = row[(uint8_t)upper[digit]] = to;
}

/* The state in which n more digits are read, for the characters from code on (none below least).
 * Where all of them lead to the same state, it is found by that one. */
static uint32_t digits_state(struct rows *r, uint32_t s, enum digits form, uint32_t code,
                             unsigned n, uint32_t least) {
    uint32_t row[256] = {0}, last;
    const uint32_t size = 1u << form * n, step = size >> form;
    const uint32_t to = target(r, s, code, &last);
    const bool uniform = code + size - 1 <= last && code >= least &&
                         !is_unwritten(form, code, code + size - 1, false);
    uint32_t *memo = &r->memo[(size_t)to * N_MEMOS + n + (form == HEXADECIMAL ? 3 : 0)];
    if (uniform && (!to || *memo))
        return to ? *memo : 0;
    for (uint32_t i = 0; i < 1u << form && r->budget->left > 0; i++) {
        const uint32_t from = code + i * step;
        if (from + step <= least || is_unwritten(form, from, from + step - 1, true))
            continue;
        put_digit(row, form, i,
                  n == 1 ? target(r, s, from, &last)
                         : digits_state(r, s, form, from, n - 1, least));
    }
    const uint32_t state = row_state(r, row);
    if (uniform)
        *memo = state;
    return state;
}

/* UTF-8's shortest forms only: the first characters of a leading byte's may be too short. */
static uint32_t lead_state(struct rows *r, uint32_t s, unsigned lead) {
    if (lead < 0xe0)
        return digits_state(r, s, CONTINUATIONS, (lead & 0x1f) << 6, 1, 0);
    if (lead < 0xf0)
        return digits_state(r, s, CONTINUATIONS, (lead & 0xf) << 12, 2, 0x800);
    return digits_state(r, s, CONTINUATIONS, (lead & 7) << 18, 3, 0x10000);
}

/* Whether all characters from lo to hi lead to the same state. */
static bool leads_all(const struct rows *r, uint32_t s, uint32_t lo, uint32_t hi, uint32_t *to) {
    uint32_t last;
    *to = target(r, s, lo, &last);
    return last >= hi;
}

/* Behind \u. */
static uint32_t code_state(struct rows *r, uint32_t s) {
    uint32_t to, control;
    const bool uniform =
        leads_all(r, s, 0x7f, 0xffff, &to) && leads_all(r, s, 0, 0x1f, &control) && control == to;
    uint32_t *const memo = &r->memo[(size_t)to * N_MEMOS + MEMO_CODE];
    if (uniform && (!to || *memo))
        return to ? *memo : 0;
    const uint32_t state = digits_state(r, s, HEXADECIMAL, 0, 4, 0);
    if (uniform)
        *memo = state;
    return state;
}

static uint32_t escape_state(struct rows *r, uint32_t s) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    uint32_t row[256] = {0}, last;
    for (size_t i = 0; letters[i]; i++)
        row[(uint8_t)letters[i]] = target(r, s, (uint8_t)meanings[i], &last);
    row['u'] = code_state(r, s);
    return row_state(r, row);
}

/* The bytes that begin a character beyond ASCII. */
static void put_leads(struct rows *r, uint32_t s, uint32_t *row) {
    uint32_t to;
    const bool uniform = leads_all(r, s, 0x80, CHARACTER_MAX, &to);
    uint32_t *const like = &r->memo[(size_t)to * N_MEMOS + MEMO_LEADS];
    if (uniform && !to)
        return;
    if (uniform && *like) {
        memcpy(row + 0xc2, r->next + 256 * (size_t)*like + 0xc2, 0x33 * sizeof *row);
        return;
    }
    for (unsigned lead = 0xc2; lead <= 0xf4; lead++)
        row[lead] = lead_state(r, s, lead);
    if (uniform)
        *like = s + 1;
}

/* ---- tables ---- */

static void put_rows(struct rows *r, enum lexeme_form form, uint32_t final) {
    for (uint32_t s = 0; s < r->a->n_states && r->budget->left > 0; s++) {
        uint32_t row[256] = {0}, last = 0, to = 0;
        if (!r->live[s])
            continue;
        for (uint32_t c = form == LEXEME_STRING ? ' ' : 0; c < 0x80; c++) {
            if (c == (form == LEXEME_STRING ? ' ' : 0) || c > last)
                to = target(r, s, c, &last);
            row[c] = to;
        }
        if (form == LEXEME_STRING) {
            row['"'] = r->a->accepts[s] ? final : 0;
            row['\\'] = escape_state(r, s);
            put_leads(r, s, row);
        } else {
            r->accepts[s + 1] = r->a->accepts[s];
        }
        memcpy(r->next + 256 * (size_t)(s + 1), row, sizeof row);
    }
}

/* Bytes that lead to the same everywhere become one class. */
static bool find_classes(const struct rows *r, struct table *t) {
    uint32_t split[256];
    t->n_classes = 1;
    memset(t->class_of, 0, sizeof t->class_of);
    for (size_t s = 1; s < r->n; s++) {
        const uint32_t *row = r->next + 256 * s;
        uint32_t n = 0;
        uint8_t finer[256], of[256];
        bool same = true;
        uint32_t first[256]; /* the target of a class's first byte */
        bool seen[256] = {false};
        for (int i = 0; i < 256 && same; i++) {
            const uint8_t c = t->class_of[i];
            if (!seen[c])
                first[c] = row[i];
            same = first[c] == row[i];
            seen[c] = true;
        }
        if (same)
            continue;
        for (int i = 0; i < 256; i++) {
            uint32_t k = 0;
            while (k < n && !(of[k] == t->class_of[i] && split[k] == row[i]))
                k++;
            if (k == n) {
                of[n] = t->class_of[i];
                split[n++] = row[i];
            }
            finer[i] = (uint8_t)k;
        }
        memcpy(t->class_of, finer, sizeof finer);
        t->n_classes = n;
    }
    t->next = malloc(r->n * t->n_classes * sizeof *t->next);
    r->budget->no_memory |= !t->next;
    if (!t->next)
        return false;
    for (int i = 0; i < 256; i++)
        for (size_t s = 0; s < r->n; s++)
            t->next[s * t->n_classes + t->class_of[i]] = s ? r->next[256 * s + (size_t)i] : 0;
    return true;
}

/* The table's edges backward: from[into[to] .. into[to + 1]) lead to a state, by any class. */
struct backward {
    uint32_t *into, *from, *queue, *open; /* queue, open [n_states] */
};

static bool backward_open(struct backward *b, const struct table *t, struct budget *budget) {
    const size_t n = t->n_states, n_edges = n * t->n_classes;
    b->into = calloc(3 * n + 2 + n_edges, sizeof *b->into);
    budget->no_memory |= !b->into;
    if (!b->into || !budget_take(budget, n_edges / 8))
        return false;
    b->queue = b->into + n + 2;
    b->open = b->queue + n;
    b->from = b->open + n;
    for (size_t i = 0; i < n_edges; i++)
        b->into[t->next[i] + 2]++;
    for (size_t s = 0; s + 2 < n + 2; s++)
        b->into[s + 2] += b->into[s + 1];
    for (size_t i = 0; i < n_edges; i++)
        b->from[b->into[t->next[i] + 1]++] = (uint32_t)(i / t->n_classes);
    return true;
}

/* Breadth first: a character's end costs one. */
static void find_least(struct table *t, struct backward *b) {
    size_t n = 0, end = 0;
    uint32_t *const now = b->queue, *const later = b->open;
    for (uint32_t s = 0; s < t->n_states; s++) {
        t->least[s] = s && t->accepts[s] ? 0 : REPEAT_FOREVER;
        if (!t->least[s])
            now[n++] = s;
    }
    for (uint32_t d = 0; n; d++) {
        size_t n_later = 0;
        for (; n;) {
            const uint32_t to = now[--n];
            const uint32_t cost = to <= t->n_between;
            if (t->least[to] != d)
                continue;
            for (size_t i = b->into[to]; i < b->into[to + 1]; i++) {
                const uint32_t s = b->from[i];
                if (!s || t->least[s] <= d + cost)
                    continue;
                t->least[s] = d + cost;
                if (cost)
                    later[n_later++] = s;
                else
                    now[n++] = s;
            }
        }
        for (end = 0; end < n_later; end++)
            now[n++] = later[end];
    }
}

/* From the ends: a state is done when all it leads to are; those on a way around never are. */
static void find_most(struct table *t, struct backward *b) {
    size_t n = 0;
    for (uint32_t s = 1; s < t->n_states; s++) {
        b->open[s] = 0;
        t->most[s] = 0;
        for (uint32_t c = 0; c < t->n_classes; c++)
            b->open[s] += t->next[s * t->n_classes + c] != 0;
        if (b->open[s])
            t->accepts[s] |= TABLE_GOES_ON;
        else
            b->queue[n++] = s;
    }
    while (n) {
        const uint32_t to = b->queue[--n], most = t->most[to] + (to <= t->n_between);
        for (size_t i = b->into[to]; i < b->into[to + 1]; i++) {
            const uint32_t s = b->from[i];
            if (t->most[s] < most)
                t->most[s] = most;
            if (!--b->open[s])
                b->queue[n++] = s;
        }
    }
    for (uint32_t s = 1; s < t->n_states; s++)
        if (b->open[s])
            t->most[s] = REPEAT_FOREVER;
}

static bool find_lengths(struct table *t, struct budget *budget) {
    struct backward b = {.into = NULL};
    t->least = calloc(2 * (size_t)t->n_states, sizeof *t->least);
    budget->no_memory |= !t->least;
    const bool good = t->least && backward_open(&b, t, budget);
    if (good) {
        t->most = t->least + t->n_states;
        find_least(t, &b);
        find_most(t, &b);
        for (uint32_t s = 1; s < t->n_states; s++)
            if (t->least[s] != REPEAT_FOREVER && t->least[s] > t->longest)
                t->longest = t->least[s];
    }
    free(b.into);
    return good;
}

static bool make_table(struct rows *r, struct table *t, enum lexeme_form form,
                       struct budget *budget) {
    const uint32_t n = r->a->n_states, final = n + 1;
    while (r->cap < (size_t)n + 2)
        if (r->n = r->cap, !grow_rows(r))
            return false;
    r->n = form == LEXEME_STRING ? n + 2 : n + 1;
    r->memo = calloc(N_MEMOS * ((size_t)n + 1), sizeof *r->memo);
    r->budget->no_memory |= !r->memo;
    if (!r->memo)
        return false;
    memset(r->next, 0, r->n * 256 * sizeof *r->next);
    memset(r->accepts, 0, r->n);
    if (form == LEXEME_STRING)
        r->accepts[final] = 1;
    put_rows(r, form, final);
    if (!budget_take(budget, r->n))
        return false;
    *t = (struct table){.n_states = (uint32_t)r->n, .n_between = n, .accepts = r->accepts};
    r->accepts = NULL;
    return find_classes(r, t) && find_lengths(t, budget);
}

uint32_t builder_table(struct builder *b, const struct automaton *a, enum lexeme_form form,
                       struct budget *budget) {
    struct grammar *g = b->g;
    const bool grown =
        builder_grow(b, &g->tables, &g->cap_tables, g->n_tables + 1, sizeof *g->tables);
    uint8_t *live = malloc(a->n_states);
    struct rows r = {.a = a, .live = live, .budget = budget};
    budget->no_memory |= !live || b->status == BISE_ERR_MEMORY;
    struct table t = {.n_states = 0};
    bool good =
        grown && live && automaton_live(a, live, budget) && make_table(&r, &t, form, budget);
    free(live);
    free(r.next);
    free(r.accepts);
    free(r.slots);
    free(r.memo);
    if (!good) {
        budget->left = budget->left > 0 ? 0 : budget->left;
        free(t.next);
        free(t.accepts);
        free(t.least);
        return 0;
    }
    g->tables[g->n_tables] = t;
    return (uint32_t)g->n_tables++;
}

/* ---- lengths ---- */

/* Whether every text can go on by any number of characters: then no limits are at odds with it. */
static bool is_free(const struct table *t) {
    for (uint32_t s = 1; s <= t->n_between; s++)
        if (t->least[s] != REPEAT_FOREVER && (t->least[s] || t->most[s] != REPEAT_FOREVER))
            return false;
    return true;
}

/* lengths of the lexeme, from the table's end on: in which numbers of characters a text can end. */
static uint32_t *exact_lengths(const struct table *t, uint32_t max, struct budget *budget) {
    const size_t n = t->n_states, rows = (size_t)max + 2;
    if (rows * n > MAX_LENGTHS || !budget_take(budget, rows * n * t->n_classes / 16))
        return NULL;
    uint32_t *lengths = malloc(rows * n * sizeof *lengths);
    budget->no_memory |= !lengths;
    if (!lengths)
        return NULL;
    for (size_t i = 0; i < rows * n; i++)
        lengths[i] = REPEAT_FOREVER;
    /* Row k first as "in exactly k": k itself or REPEAT_FOREVER. Inside of a character states lead
     * to states made before them, or on to the next character, which the row before knows. */
    for (uint32_t k = 0; k <= max; k++) {
        uint32_t *const row = lengths + (size_t)k * n, *const less = k ? row - n : NULL;
        for (uint32_t i = 1; i < n; i++) {
            const uint32_t s =
                i < n - t->n_between ? t->n_between + i : i + t->n_between + 1 - (uint32_t)n;
            if (k == 0 && t->accepts[s] & TABLE_ACCEPTS)
                row[s] = 0;
            for (uint32_t c = 0; c < t->n_classes && row[s] != k; c++) {
                const uint32_t to = t->next[s * t->n_classes + c];
                if (to && (to <= t->n_between ? less && less[to] == k - 1 : row[to] == k))
                    row[s] = k;
            }
        }
    }
    for (uint32_t k = max + 1; k-- > 0;)
        for (size_t s = 0; s < n; s++)
            if (lengths[k * n + s] == REPEAT_FOREVER)
                lengths[k * n + s] = lengths[(k + 1) * n + s];
    return lengths;
}

uint32_t builder_lexeme(struct builder *b, uint32_t table, uint32_t min, uint32_t max,
                        bool *possible, struct budget *budget) {
    struct grammar *g = b->g;
    const bool grown =
        builder_grow(b, &g->lexemes, &g->cap_lexemes, g->n_lexemes + 1, sizeof *g->lexemes);
    *possible = false;
    if (!grown || budget->left <= 0)
        return 0;
    const struct table *t = &g->tables[table];
    struct lexeme l = {.table = table, .min = min, .max = max};
    if (t->least[1] != REPEAT_FOREVER && min <= t->least[1]) /* limits that the table keeps */
        l.min = min = 0;
    if (max >= t->most[1])
        l.max = max = REPEAT_FOREVER;
    if (min && max != REPEAT_FOREVER && !is_free(t)) {
        l.lengths = exact_lengths(t, max, budget);
        if (!l.lengths) {
            budget->left = budget->left > 0 ? 0 : budget->left;
            return 0;
        }
    }
    *possible = t->least[1] != REPEAT_FOREVER && min <= max && lexeme_can_end(&l, t, 1, 0);
    g->lexemes[g->n_lexemes] = l;
    return (uint32_t)g->n_lexemes++;
}
