#include "src/constraint/schema_strings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEY 2000

const struct automaton *schema_pattern(struct schema *s, const struct json_value *pattern,
                                       enum regex_mode mode) {
    struct automaton **kept = &s->doc->patterns[mode][pattern - s->doc->root];
    const char *fault, *text = pattern->string;
    size_t at, len = pattern->len;
    if (*kept != NULL)
        return *kept;
    *kept = automaton_regex(text, len, mode, &s->doc->budget, &fault, &at);
    if (!*kept && fault)
        schema_unsupported(s, pattern, "pattern, byte %zu: %s", at, fault);
    else if (!*kept)
        schema_too_much(s, pattern);
    return *kept;
}

/* ---- one language ---- */

/* *a becomes its intersection with b, or with what is not in b. */
static void restrict_to(struct schema *s, struct automaton **a, const struct automaton *b,
                        bool negated) {
    struct automaton *all = *a ? NULL : automaton_all(&s->doc->budget);
    const struct automaton *from = *a ? *a : all;
    struct automaton *both =
        from && b ? automaton_combine(from, b, negated ? AUTOMATON_AND_NOT : AUTOMATON_AND,
                                      &s->doc->budget)
                  : NULL;
    automaton_free(all);
    automaton_free(*a);
    *a = both;
    if (!both)
        schema_too_much(s, NULL);
}

static void restrict_to_format(struct schema *s, struct automaton **a,
                               const struct json_value *format, uint32_t *max) {
    struct format f;
    if (!schema_format(s, format, &f)) {
        if (!json_is(format, "int32") && !json_is(format, "int64")) /* those are about numbers */
            schema_note(s, format->string, true);
        return;
    }
    if (s->checking && !f.exact)
        return;
    *max = f.max < *max ? f.max : *max;
    restrict_to(s, a, f.automaton, false);
}

struct automaton *schema_strings_of(struct schema *s, const struct fact *f, bool others) {
    const size_t n = f->list ? f->v->len : 1;
    const char **strings = malloc((n + 1) * sizeof *strings);
    size_t *lens = malloc((n + 1) * sizeof *lens), count = 0;
    struct automaton *a = NULL;
    for (const struct json_value *v = f->list ? json_first(f->v) : f->v; v && strings && lens;
         v = f->list ? json_next(f->v, v) : NULL)
        if (v->kind == JSON_STRING) {
            strings[count] = v->string;
            lens[count++] = v->len;
        }
    if (strings && lens)
        a = automaton_strings(strings, lens, count, others, &s->doc->budget);
    if (!a)
        schema_too_much(s, f->v);
    free(strings);
    free(lens);
    return a;
}

static void exclude(struct schema *s, struct automaton **a, const struct fact *f) {
    struct automaton *b = schema_strings_of(s, f, true);
    restrict_to(s, a, b, false);
    automaton_free(b);
}

struct automaton *schema_string_language(struct schema *s, const struct schema_case *c,
                                         uint32_t *min, uint32_t *max) {
    struct automaton *a = NULL;
    *min = 0;
    *max = REPEAT_FOREVER;
    for (size_t i = 0; i < c->n && schema_ok(s); i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind == FACT_LENGTH) {
            *min = f->n.min > *min ? f->n.min : *min;
            *max = f->n.max < *max ? f->n.max : *max;
        } else if (f->kind == FACT_FORMAT) {
            restrict_to_format(s, &a, f->v, max);
        } else if (f->kind == FACT_NOT_VALUES) {
            exclude(s, &a, f);
        } else if (f->kind == FACT_PATTERN) {
            /* While checking, too much rather than too little. */
            const enum regex_mode mode = f->negated != s->checking ? REGEX_WIDE : REGEX_NARROW;
            const struct automaton *b = schema_pattern(s, f->v, mode);
            if (b)
                restrict_to(s, &a, b, f->negated);
        }
    }
    if (!schema_ok(s)) {
        automaton_free(a);
        return NULL;
    }
    return a;
}

/* ---- strings ---- */

/* What the case says about strings, in words that are equal only for equal languages; false if it
 * does not fit. */
static bool describe(const struct schema_case *c, char *key, size_t cap) {
    size_t len = (size_t)snprintf(key, cap, "string");
    for (size_t i = 0; i < c->n; i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind == FACT_NOT_VALUES)
            return false;
        if (f->kind == FACT_LENGTH)
            len += (size_t)snprintf(key + len, cap - len, "\n%u-%u", f->n.min, f->n.max);
        else if (f->kind == FACT_FORMAT || f->kind == FACT_PATTERN)
            len += (size_t)snprintf(key + len, cap - len, "\n%c%zu:%s",
                                    f->kind == FACT_FORMAT ? 'f'
                                    : f->negated           ? 'n'
                                                           : 'p',
                                    f->v->len, f->v->string);
        if (len >= cap || (f->v && f->v->kind == JSON_STRING && strlen(f->v->string) != f->v->len))
            return false;
    }
    return true;
}

void schema_put_strings(struct schema *s, const struct schema_case *c) {
    char key[MAX_KEY];
    uint32_t min, max;
    const bool described = describe(c, key, sizeof key);
    schema_put_text(s, "\"");
    if (described && schema_put_known(s, key))
        return;
    struct automaton *a = schema_string_language(s, c, &min, &max);
    if (!a && schema_ok(s))
        a = automaton_all(&s->doc->budget);
    if (a)
        schema_put_automaton(s, a, LEXEME_STRING, min, max, described ? key : NULL);
}
