/* Numbers of a case: bounds of any size, multiples, integers, as one language of decimals. */
#include "src/constraint/schema_cases.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS   900 /* of a number written out: 511 characters, exponents to 308 */
#define MAX_BOUND    60  /* digits of a bound before or after its point */
#define INTEGER_MAX  20  /* digits before the point, if no bound has more */
#define FRACTION_MAX 17
#define MULTIPLE_MAX 15      /* digits of multiples: those that doubles hold exactly */
#define MAX_MULTIPLE 100000u /* states of an automaton */

/* ---- decimals ---- */

/* |value| = integer.fraction, without zeros that say nothing: "0" and "" for zero. */
struct decimal {
    bool negative, zero;
    char integer[MAX_DIGITS], fraction[MAX_DIGITS];
    size_t n_integer, n_fraction;
};

/* From a JSON number's text, of at most 511 characters. */
static void read_decimal(const char *text, struct decimal *d) {
    char digits[MAX_DIGITS];
    size_t n = 0;
    long point = 0;
    bool behind = false;
    *d = (struct decimal){.negative = *text == '-'};
    for (text += *text == '-'; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            behind = true;
            continue;
        }
        digits[n++] = *text;
        point += !behind;
    }
    if (*text) {
        const long e = strtol(text + 1, NULL, 10);
        point += e > 400 ? 400 : e < -400 ? -400 : e;
    }
    for (long i = 0; i < point; i++) {
        const char c = i < (long)n ? digits[i] : '0';
        if (d->n_integer || c != '0')
            d->integer[d->n_integer++] = c;
    }
    for (long i = point; i < (long)n; i++)
        d->fraction[d->n_fraction++] = i < 0 ? '0' : digits[i];
    while (d->n_fraction && d->fraction[d->n_fraction - 1] == '0')
        d->n_fraction--;
    d->zero = !d->n_integer && !d->n_fraction;
    if (!d->n_integer)
        d->integer[d->n_integer++] = '0';
    d->negative &= !d->zero;
}

/* ---- regular expressions of decimals ---- */

struct text {
    struct schema *s;
    char *bytes;
    size_t len, cap;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
put(struct text *t, const char *fmt, ...) {
    char part[2 * MAX_BOUND + 100];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(part, sizeof part, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof part ||
        !schema_grow(t->s, &t->bytes, &t->cap, t->len + (size_t)n + 1, 1))
        return;
    memcpy(t->bytes + t->len, part, (size_t)n + 1);
    t->len += (size_t)n;
}

#define ANY_FRACTION "(?:\\.[0-9]+)?"

/* Alternatives: digits that begin as d's first i and go on with one from lo to hi, then n more. */
static void put_branch(struct text *t, const char *d, size_t i, char lo, char hi, size_t n) {
    if (lo <= hi)
        put(t, "|%.*s[%c-%c][0-9]{%zu}" ANY_FRACTION, (int)i, d, lo, hi, n);
}

/* Not below d. */
static void put_at_least(struct text *t, const struct decimal *d, bool strict) {
    const char *const f = d->fraction;
    const int n = (int)d->n_integer, m = (int)d->n_fraction;
    put(t, "^(?:[1-9][0-9]{%d,}" ANY_FRACTION, n);
    for (int i = 0; i < n; i++)
        put_branch(t, d->integer, (size_t)i, (char)(d->integer[i] + 1), '9', (size_t)(n - i - 1));
    if (!m && strict)
        put(t, "|%.*s\\.[0-9]*[1-9][0-9]*", n, d->integer);
    else if (!m)
        put(t, "|%.*s" ANY_FRACTION, n, d->integer);
    for (int j = 0; j < m; j++)
        if (f[j] < '9')
            put(t, "|%.*s\\.%.*s[%c-9][0-9]*", n, d->integer, j, f, f[j] + 1);
    if (m)
        put(t, strict ? "|%.*s\\.%.*s[0-9]*[1-9][0-9]*" : "|%.*s\\.%.*s[0-9]*", n, d->integer, m,
            f);
    put(t, ")$");
}

/* Not above d. */
static void put_at_most(struct text *t, const struct decimal *d, bool strict) {
    const char *const f = d->fraction;
    const int n = (int)d->n_integer, m = (int)d->n_fraction;
    put(t, "^(?:[^0-9]"); /* nothing: the alternatives follow */
    if (n > 1)
        put(t, "|(?:0|[1-9][0-9]{0,%d})" ANY_FRACTION, n - 2);
    for (int i = 0; i < n; i++)
        put_branch(t, d->integer, (size_t)i, i == 0 && n > 1 ? '1' : '0', (char)(d->integer[i] - 1),
                   (size_t)(n - i - 1));
    if (!strict || m)
        put(t, "|%.*s(?:\\.0+)?", n, d->integer);
    for (int j = 0; j < m; j++) {
        if (j)
            put(t, "|%.*s\\.%.*s", n, d->integer, j, f);
        if (f[j] > '0')
            put(t, "|%.*s\\.%.*s[0-%c][0-9]*", n, d->integer, j, f, f[j] - 1);
    }
    if (m && !strict)
        put(t, "|%.*s\\.%.*s0*", n, d->integer, m, f);
    put(t, ")$");
}

/* ---- languages ---- */

/* *a (NULL: a failure before) is restricted to the regular expression, which is emptied. */
static void restrict_to(struct schema *s, struct automaton **a, struct text *t,
                        enum automaton_op op) {
    const char *fault;
    size_t at;
    struct budget *budget = &s->doc->budget;
    struct automaton *b =
        schema_ok(s) ? automaton_regex(t->bytes, t->len, REGEX_NARROW, budget, &fault, &at) : NULL;
    struct automaton *both = *a && b ? automaton_combine(*a, b, op, budget) : NULL;
    automaton_free(*a);
    automaton_free(b);
    *a = both;
    t->len = 0;
}

/* A minus in front of each text. */
static struct automaton *negated(const struct automaton *a, struct budget *b) {
    struct automaton_maker m;
    if (!maker_begin(&m, b))
        return NULL;
    const uint32_t dead = a->n_states + 1;
    bool good = maker_state(&m, false) && maker_edge(&m, 0, dead) && maker_edge(&m, '-', 1) &&
                maker_edge(&m, '-' + 1, dead);
    for (uint32_t s = 0; s < a->n_states && good; s++) {
        good = maker_state(&m, a->accepts[s]);
        for (uint32_t e = a->first[s]; e < a->first[s + 1] && good; e++)
            good = maker_edge(&m, a->edges[e].lo, a->edges[e].to + 1);
    }
    good = good && maker_state(&m, false) && maker_edge(&m, 0, dead);
    return maker_end(&m, good);
}

struct limits {
    int integer, fraction; /* digits */
    bool strict, multiples;
};

/* Magnitudes of the types. Where a number must not be another one (a strict bound, one that is
 * excluded, a whole one), it has no more digits behind its point than doubles tell apart. */
static void put_magnitudes(struct text *t, unsigned types, const struct limits *l) {
    const int n = l->multiples ? MULTIPLE_MAX - 1 : l->integer - 1, f = l->fraction;
    if (types == TYPE_INTEGER || l->multiples)
        put(t, "^(?:0|[1-9][0-9]{0,%d})$", n);
    else if (types == TYPE_FRACTION && l->strict)
        put(t, "^(?:0|[1-9][0-9]{0,5})\\.[0-9]{1,%d}$", f);
    else if (types == TYPE_FRACTION)
        put(t, "^(?:0|[1-9][0-9]{0,%d})\\.[0-9]{1,%d}$", n, f);
    else if (l->strict)
        put(t, "^(?:(?:0|[1-9][0-9]{0,5})(?:\\.[0-9]{1,%d})?|[1-9][0-9]{0,%d})$", f, n);
    else
        put(t, "^(?:0|[1-9][0-9]{0,%d})(?:\\.[0-9]{1,%d})?$", n, f);
}

static uint32_t multiple_of(const struct json_value *v) {
    const double n = v->number;
    return n >= 1 && n <= MAX_MULTIPLE && n == (double)(uint32_t)n ? (uint32_t)n : 0;
}

/* All numbers of one sign that the facts allow, as magnitudes. NULL: none, or a failure. */
static struct automaton *magnitudes(struct schema *s, const struct schema_case *c, unsigned types,
                                    const struct limits *l, bool negative, struct text *t) {
    struct budget *budget = &s->doc->budget;
    struct decimal *d = malloc(sizeof *d);
    struct automaton *a = d ? automaton_all(budget) : NULL;
    bool none = false;
    if (!d) {
        schema_no_memory(s);
        return NULL;
    }
    put_magnitudes(t, types, l);
    restrict_to(s, &a, t, AUTOMATON_AND);
    if (types == TYPE_FRACTION) {
        put(t, "\\.[0-9]*[1-9]");
        restrict_to(s, &a, t, AUTOMATON_AND);
    }
    if (negative) { /* zero has no sign */
        put(t, "[1-9]");
        restrict_to(s, &a, t, AUTOMATON_AND);
    }
    for (size_t i = 0; i < c->n && a && !none; i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind == FACT_MULTIPLE) {
            struct automaton *m = automaton_multiples(multiple_of(f->v), budget);
            struct automaton *both = m ? automaton_combine(a, m, AUTOMATON_AND, budget) : NULL;
            automaton_free(a);
            automaton_free(m);
            a = both;
        }
        if (f->kind != FACT_BOUND)
            continue;
        read_decimal(f->v->digits, d);
        if (d->negative != negative && !d->zero) { /* nothing, or all of the other sign */
            none = f->below == d->negative;
            continue;
        }
        const bool at_most = f->below != negative;
        if (d->zero && (negative ? f->below : !f->below && !f->strict))
            continue;
        if (d->zero && (negative || f->strict) && at_most) {
            none = true;
            continue;
        }
        if (at_most && d->n_integer > (size_t)l->integer)
            continue; /* no number has as many digits */
        if (at_most)
            put_at_most(t, d, f->strict);
        else
            put_at_least(t, d, f->strict);
        restrict_to(s, &a, t, AUTOMATON_AND);
    }
    free(d);
    if (!a)
        schema_too_much(s, NULL);
    if (none) {
        automaton_free(a);
        return NULL;
    }
    return a;
}

/* ---- excluded ones ---- */

/* Takes the number out, however it is written. */
static void exclude_number(struct schema *s, struct automaton **a, const char *number,
                           struct text *t) {
    struct decimal *d = malloc(sizeof *d);
    if (!d) {
        schema_no_memory(s);
        return;
    }
    read_decimal(number, d);
    if (d->n_integer <= MAX_BOUND && d->n_fraction <= MAX_BOUND) { /* else none is that long */
        put(t, "^%s%.*s", d->negative ? "-" : "", (int)d->n_integer, d->integer);
        if (d->n_fraction)
            put(t, "\\.%.*s0*$", (int)d->n_fraction, d->fraction);
        else
            put(t, "(?:\\.0+)?$");
        restrict_to(s, a, t, AUTOMATON_AND_NOT);
    }
    free(d);
}

static void exclude(struct schema *s, const struct schema_case *c, struct automaton **a,
                    struct text *t) {
    for (size_t i = 0; i < c->n; i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind != FACT_NOT_VALUES)
            continue;
        for (const struct json_value *v = f->list ? json_first(f->v) : f->v; v && *a;
             v = f->list ? json_next(f->v, v) : NULL)
            if (v->kind == JSON_NUMBER)
                exclude_number(s, a, v->digits, t);
    }
}

/* ---- numbers ---- */

static bool has_number(const struct fact *f) {
    for (const struct json_value *v = f->list ? json_first(f->v) : f->v; v;
         v = f->list ? json_next(f->v, v) : NULL)
        if (v->kind == JSON_NUMBER)
            return true;
    return false;
}

/* What the facts say of digits; false where they say something that is not supported. The facts
 * about numbers go into key. */
static bool find_limits(struct schema *s, const struct schema_case *c, struct limits *l, char *key,
                        size_t cap, bool *plain) {
    struct decimal *d = malloc(sizeof *d);
    size_t len = strlen(key);
    if (!d) {
        schema_no_memory(s);
        return false;
    }
    *l = (struct limits){.integer = INTEGER_MAX, .fraction = FRACTION_MAX};
    *plain = true;
    for (size_t i = 0; i < c->n && schema_ok(s); i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind == FACT_MULTIPLE) {
            l->multiples = true;
            if (!multiple_of(f->v))
                schema_unsupported(s, f->v,
                                   "multipleOf of other than whole numbers up to %u is "
                                   "not supported",
                                   MAX_MULTIPLE);
        } else if (f->kind == FACT_BOUND) {
            read_decimal(f->v->digits, d);
            l->strict |= f->strict;
            if (d->n_fraction > MAX_BOUND || (d->n_integer > MAX_BOUND && d->negative == f->below))
                schema_unsupported(s, f->v, "bounds of more than %d digits are not supported",
                                   MAX_BOUND);
            if ((int)d->n_integer >= l->integer && d->n_integer <= MAX_BOUND)
                l->integer = (int)d->n_integer + 1;
            if ((int)d->n_fraction >= l->fraction)
                l->fraction = (int)d->n_fraction + 1;
        } else if (!(f->kind == FACT_NOT_VALUES && has_number(f))) {
            continue;
        }
        *plain = false;
        l->strict |= f->kind == FACT_NOT_VALUES;
        if (f->kind == FACT_NOT_VALUES)
            len = cap;
        else if (len < cap)
            len += (size_t)snprintf(key + len, cap - len, " %d%d%d%.80s", f->kind == FACT_MULTIPLE,
                                    f->below, f->strict, f->v->digits);
        if (strlen(f->kind == FACT_NOT_VALUES ? "" : f->v->digits) > 80)
            len = cap;
    }
    l->strict |= (c->types & TYPE_NUMBER) == TYPE_FRACTION;
    if (l->strict && l->fraction == FRACTION_MAX)
        l->fraction = 8;
    if (len >= cap)
        key[0] = 0;
    free(d);
    return schema_ok(s) && !(s->checking && s->uncertain && l->multiples);
}

/* int32 and int64, of OpenAPI, are bounds. */
static bool has_format(const struct schema_case *c, const char *name) {
    for (size_t i = 0; i < c->n; i++)
        if (c->facts[i].kind == FACT_FORMAT && json_is(c->facts[i].v, name))
            return true;
    return false;
}

static void restrict_to_format(struct schema *s, const struct schema_case *c, struct automaton **a,
                               struct text *t) {
    static const char *const names[] = {"int32", "int64"};
    static const char *const most[] = {"2147483647", "9223372036854775807"};
    struct decimal *d = malloc(sizeof *d);
    for (int i = 0; i < 2 && d && *a; i++)
        if (has_format(c, names[i])) {
            read_decimal(most[i], d);
            put_at_most(t, d, false);
            restrict_to(s, a, t, AUTOMATON_AND);
        }
    free(d);
}

void schema_put_numbers(struct schema *s, const struct schema_case *c) {
    unsigned types = c->types & TYPE_NUMBER;
    const bool bounded = has_format(c, "int32") || has_format(c, "int64");
    struct limits limits;
    struct text t = {.s = s};
    char key[500];
    bool plain;
    snprintf(key, sizeof key, "number %u%d%d", types, has_format(c, "int32"),
             has_format(c, "int64"));
    if (!find_limits(s, c, &limits, key, sizeof key, &plain)) {
        if (schema_ok(s)) /* while checking: any number */
            schema_put_text(s, "0");
        return;
    }
    if (limits.multiples && !(types & TYPE_INTEGER)) {
        schema_put_nothing(s);
        return;
    }
    if (key[0] && schema_put_known(s, key))
        return;
    struct automaton *a = NULL;
    if (plain && !bounded && types != TYPE_FRACTION) {
        put(&t, types == TYPE_INTEGER
                    ? "^(?:0|-?[1-9][0-9]{0,19})$"
                    : "^-?(?:0|[1-9][0-9]{0,19})(?:\\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?$");
        a = automaton_all(&s->doc->budget);
        restrict_to(s, &a, &t, AUTOMATON_AND);
    } else {
        struct automaton *plus = magnitudes(s, c, types, &limits, false, &t);
        struct automaton *below = magnitudes(s, c, types, &limits, true, &t);
        if (plus)
            restrict_to_format(s, c, &plus, &t);
        if (below)
            restrict_to_format(s, c, &below, &t);
        struct automaton *minus = below ? negated(below, &s->doc->budget) : NULL;
        automaton_free(below);
        if (plus && minus)
            a = automaton_combine(plus, minus, AUTOMATON_OR, &s->doc->budget);
        else if (schema_ok(s) && (plus || minus))
            a = plus ? plus : minus;
        if (a != plus)
            automaton_free(plus);
        if (a != minus)
            automaton_free(minus);
        if (a)
            exclude(s, c, &a, &t);
        else if (schema_ok(s)) {
            free(t.bytes);
            schema_put_nothing(s);
            return;
        }
    }
    free(t.bytes);
    if (schema_ok(s))
        schema_put_automaton(s, a, LEXEME_PLAIN, 0, REPEAT_FOREVER, key[0] ? key : NULL);
    else
        automaton_free(a);
}
