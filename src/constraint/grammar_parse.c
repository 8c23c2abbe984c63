/* GBNF to rules over bytes. */
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/constraint/grammar.h"
#include "src/constraint/grammar_build.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 100
#define N_HEADS     65536

struct name {
    const char *text; /* in the grammar's text */
    size_t len;
    uint32_t rule;
    bool defined;
    size_t at;     /* where it was first seen */
    uint32_t next; /* 1 + another of the same hash */
};

struct parser {
    struct builder b;
    const char *text;
    size_t at, len;
    struct name *names;
    size_t n_names, cap_names;
    uint32_t heads[N_HEADS]; /* 1 + a name of that hash, 0: none */
    unsigned nesting;
    struct char_class class; /* being read: too large for frames inside each other */
    struct bise_error *err;
};

static size_t line_of(const struct parser *p, size_t at) {
    size_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += p->text[i] == '\n';
    return line;
}

/* expected: what should have been at p->at. Always false. */
static bool fail(struct parser *p, const char *expected) {
    if (p->b.status)
        return false;
    const size_t left = p->len - p->at;
    const int shown = (int)(left < 20 ? left : 20);
    p->b.status =
        bise_fail(p->err, BISE_ERR_ARG, "grammar, line %zu: expected %s, found %s%.*s",
                  line_of(p, p->at), expected, left ? "" : "its end", shown, p->text + p->at);
    return false;
}

static int peek(const struct parser *p) {
    return p->at < p->len ? (uint8_t)p->text[p->at] : -1;
}

static bool skip(struct parser *p, char c) {
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

/* Blanks and comments; line ends too where they mean nothing. */
static void skip_space(struct parser *p, bool newlines) {
    for (;;) {
        const int c = peek(p);
        if (c == '#')
            while (p->at < p->len && p->text[p->at] != '\n' && p->text[p->at] != '\r')
                p->at++;
        else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r')))
            p->at++;
        else
            return;
    }
}

static bool is_name_char(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Keyed by where the text lies, so that a hostile grammar cannot choose names of one chain. */
static uint64_t hash_name(const char *text, size_t len, uint64_t key) {
    uint64_t h = key;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (uint8_t)text[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

static bool parse_name(struct parser *p, uint32_t *index) {
    const size_t begin = p->at;
    while (is_name_char(peek(p)))
        p->at++;
    const size_t len = p->at - begin;
    if (!len)
        return fail(p, "a rule's name");
    uint32_t *const head =
        &p->heads[hash_name(p->text + begin, len, (uintptr_t)p ^ (uintptr_t)p->text << 20) %
                  N_HEADS];
    for (uint32_t i = *head; i; i = p->names[i - 1].next)
        if (p->names[i - 1].len == len && memcmp(p->names[i - 1].text, p->text + begin, len) == 0) {
            *index = i - 1;
            return true;
        }
    if (!builder_grow(&p->b, &p->names, &p->cap_names, p->n_names + 1, sizeof *p->names))
        return false;
    *index = (uint32_t)p->n_names++;
    p->names[*index] = (struct name){.text = p->text + begin,
                                     .len = len,
                                     .rule = builder_rule(&p->b),
                                     .at = begin,
                                     .next = *head};
    *head = *index + 1;
    return !p->b.status;
}

static bool parse_hex(struct parser *p, int digits, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < digits; i++) {
        const int c = peek(p);
        const int value = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (value < 0)
            return fail(p, "a hexadecimal digit");
        *code = *code << 4 | (uint32_t)value;
        p->at++;
    }
    if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
        return fail(p, "an escape of a character before this");
    return true;
}

static bool parse_escape(struct parser *p, uint32_t *code) {
    const int c = peek(p);
    if (c < 0)
        return fail(p, "an escape");
    p->at++;
    switch (c) {
    case 'n':
        *code = '\n';
        return true;
    case 'r':
        *code = '\r';
        return true;
    case 't':
        *code = '\t';
        return true;
    case 'x':
        return parse_hex(p, 2, code);
    case 'u':
        return parse_hex(p, 4, code);
    case 'U':
        return parse_hex(p, 8, code);
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
        *code = (uint32_t)c;
        return true;
    default:
        p->at--;
        return fail(p, "one of n r t x u U \\ \" [ ] - ^ after a backslash");
    }
}

/* A character of a literal or class, escaped or not. */
static bool parse_char(struct parser *p, uint32_t *code) {
    if (skip(p, '\\'))
        return parse_escape(p, code);
    const size_t len = utf8_char_len(p->text + p->at, p->len - p->at);
    *code = utf8_code_point(p->text + p->at, len);
    p->at += len;
    return true;
}

static bool parse_literal(struct parser *p) {
    while (!skip(p, '"')) {
        uint32_t code;
        char bytes[4];
        if (p->at == p->len)
            return fail(p, "\" at the end of a literal");
        if (!parse_char(p, &code))
            return false;
        const size_t len = utf8_put(code, bytes);
        builder_put_bytes(&p->b, bytes, len);
    }
    return !p->b.status;
}

static bool parse_class(struct parser *p) {
    p->class.negated = skip(p, '^');
    p->class.n = 0;
    while (!skip(p, ']')) {
        uint32_t lo, hi;
        if (p->at == p->len)
            return fail(p, "] at the end of a class");
        if (!parse_char(p, &lo))
            return false;
        hi = lo;
        if (peek(p) == '-' && p->at + 1 < p->len && p->text[p->at + 1] != ']') {
            p->at++;
            if (!parse_char(p, &hi))
                return false;
        }
        if (hi < lo)
            return fail(p, "a range that ascends before this");
        if (!class_add(&p->class, lo, hi))
            return fail(p, "fewer ranges in a class");
    }
    builder_put_class(&p->b, &p->class);
    return !p->b.status;
}

static bool parse_count(struct parser *p, uint32_t *n) {
    if (peek(p) < '0' || peek(p) > '9')
        return fail(p, "a number");
    for (*n = 0; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        *n = *n * 10 + (uint32_t)(peek(p) - '0');
        if (*n > MAX_REPETITION)
            return fail(p, "a repetition of at most 1000000");
    }
    return true;
}

/* {n} {n,} {n,m}, behind the brace. */
static bool parse_counts(struct parser *p, bool newlines, uint32_t *min, uint32_t *max) {
    skip_space(p, newlines);
    if (!parse_count(p, min))
        return false;
    *max = *min;
    skip_space(p, newlines);
    if (skip(p, ',')) {
        skip_space(p, newlines);
        *max = REPEAT_FOREVER;
        if (peek(p) != '}' && !parse_count(p, max))
            return false;
        skip_space(p, newlines);
    }
    if (!skip(p, '}'))
        return fail(p, "} after a repetition");
    if (*max < *min)
        return fail(p, "a repetition whose numbers ascend before this");
    return true;
}

/* Repetitions of the item that begins at mark. */
static bool parse_repetitions(struct parser *p, size_t mark, bool newlines) {
    for (;;) {
        uint32_t min = 0, max = REPEAT_FOREVER;
        if (skip(p, '+'))
            min = 1;
        else if (skip(p, '?'))
            max = 1;
        else if (skip(p, '{')) {
            if (!parse_counts(p, newlines, &min, &max))
                return false;
        } else if (!skip(p, '*'))
            return true;
        builder_repeat(&p->b, mark, min, max);
        skip_space(p, newlines);
        if (p->b.status)
            return false;
    }
}

/* <text of a token> or <[id]>, at the bracket. */
static bool parse_token(struct parser *p, bool negated) {
    const size_t begin = p->at++;
    uint32_t id;
    if (skip(p, '[')) {
        if (!parse_count(p, &id))
            return false;
        if (!skip(p, ']') || !skip(p, '>'))
            return fail(p, "]> after a token's id");
        builder_put_token(&p->b, (int32_t)id, "", 0, negated);
        return !p->b.status;
    }
    while (peek(p) >= 0 && !strchr("> \t\r\n", peek(p)))
        p->at++;
    if (!skip(p, '>') || p->at - begin == 2)
        return fail(p, "a token as <text> or <[id]>");
    builder_put_token(&p->b, -1, p->text + begin, p->at - begin, negated);
    return !p->b.status;
}

static bool parse_alternatives(struct parser *p, uint32_t rule, bool newlines);

/* One literal, class, name or group; false without a failure where none begins. */
static bool parse_item(struct parser *p, bool newlines) {
    uint32_t index;
    if (skip(p, '"'))
        return parse_literal(p);
    if (skip(p, '['))
        return parse_class(p);
    if (skip(p, '.')) {
        p->class.negated = true;
        p->class.n = 0;
        builder_put_class(&p->b, &p->class);
        return !p->b.status;
    }
    if (peek(p) == '<')
        return parse_token(p, false);
    if (skip(p, '!')) {
        if (peek(p) != '<')
            return fail(p, "a token after !");
        return parse_token(p, true);
    }
    if (skip(p, '(')) {
        if (++p->nesting > MAX_NESTING)
            return fail(p, "fewer brackets inside each other");
        const uint32_t rule = builder_rule(&p->b);
        skip_space(p, true);
        if (!parse_alternatives(p, rule, true))
            return false;
        if (!skip(p, ')'))
            return fail(p, ")");
        p->nesting--;
        builder_put(&p->b, ELEMENT_RULE, rule);
        return !p->b.status;
    }
    if (!is_name_char(peek(p)))
        return false;
    const size_t begin = p->at;
    if (!parse_name(p, &index))
        return false;
    const size_t end = p->at;
    skip_space(p, newlines);
    if (p->len - p->at >= 3 && memcmp(p->text + p->at, "::=", 3) == 0) { /* the next rule's */
        p->at = begin;
        return false;
    }
    p->at = end;
    builder_put(&p->b, ELEMENT_RULE, p->names[index].rule);
    return !p->b.status;
}

static bool parse_sequence(struct parser *p, bool newlines) {
    for (;;) {
        const size_t mark = builder_mark(&p->b);
        if (!parse_item(p, newlines))
            return !p->b.status;
        skip_space(p, newlines);
        if (!parse_repetitions(p, mark, newlines))
            return false;
    }
}

static bool parse_alternatives(struct parser *p, uint32_t rule, bool newlines) {
    do {
        const size_t mark = builder_mark(&p->b);
        skip_space(p, true);
        if (!parse_sequence(p, newlines))
            return false;
        builder_alternative(&p->b, rule, mark);
        if (p->b.status)
            return false;
    } while (skip(p, '|'));
    return true;
}

static bool parse_rule(struct parser *p) {
    uint32_t index;
    if (!parse_name(p, &index))
        return false;
    if (p->names[index].defined)
        return fail(p, "each rule once; defined again before this");
    p->names[index].defined = true;
    skip_space(p, false);
    if (p->len - p->at < 3 || memcmp(p->text + p->at, "::=", 3) != 0)
        return fail(p, "::=");
    p->at += 3;
    if (!parse_alternatives(p, p->names[index].rule, false))
        return false;
    if (p->at < p->len && peek(p) != '\n' && peek(p) != '\r')
        return fail(p, "the end of the line or another item");
    skip_space(p, true);
    return true;
}

static bool parse_all(struct parser *p) {
    const size_t invalid = utf8_invalid_at(p->text, p->len);
    if (invalid < p->len) {
        p->at = invalid;
        return fail(p, "UTF-8");
    }
    if (p->len >= 3 && memcmp(p->text, "\xef\xbb\xbf", 3) == 0)
        p->at = 3;
    skip_space(p, true);
    while (p->at < p->len)
        if (!parse_rule(p))
            return false;
    return true;
}

/* Every name is defined, and root is there. Its number is then exchanged with the first rule's. */
static bool resolve_names(struct parser *p, uint32_t *root) {
    bool found = false;
    for (size_t i = 0; i < p->n_names; i++) {
        const struct name *n = &p->names[i];
        if (!n->defined) {
            p->b.status = bise_fail(p->err, BISE_ERR_ARG,
                                    "grammar, line %zu: rule %.*s is used but not defined",
                                    line_of(p, n->at), (int)(n->len < 64 ? n->len : 64), n->text);
            return false;
        }
        if (n->len == 4 && memcmp(n->text, "root", 4) == 0) {
            *root = n->rule;
            found = true;
        }
    }
    if (!found)
        p->b.status = bise_fail(p->err, BISE_ERR_ARG, "grammar: expected a rule named root");
    return found;
}

enum bise_status grammar_parse(struct grammar *g, const char *text, size_t len,
                               struct bise_error *err) {
    struct parser *p = calloc(1, sizeof *p);
    uint32_t root;
    if (!p)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the grammar");
    p->b = (struct builder){.g = g, .err = err};
    p->text = text;
    p->len = len;
    p->err = err;
    if (parse_all(p) && resolve_names(p, &root))
        builder_finish(&p->b, root);
    const enum bise_status status = p->b.status;
    builder_free(&p->b);
    free(p->names);
    free(p);
    return status;
}

static void table_free(struct table *t) {
    free(t->next);
    free(t->accepts);
    free(t->least);
}

void grammar_free(struct grammar *g) {
    free(g->elements);
    free(g->sets);
    free(g->rules);
    free(g->alternatives);
    free(g->repeats);
    for (size_t i = 0; i < g->n_tables; i++)
        table_free(&g->tables[i]);
    free(g->tables);
    for (size_t i = 0; i < g->n_lexemes; i++)
        free(g->lexemes[i].lengths);
    free(g->lexemes);
    free(g->tokens);
    free(g->token_texts);
    free(g->note);
    *g = (struct grammar){.n_rules = 0};
}
