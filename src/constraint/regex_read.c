/* ECMA-262's regular expressions, read to a tree. */
#include "src/constraint/regex.h"

#include "src/base/array.h"
#include "src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 50

/* ---- sets of characters ---- */

static const struct regex_range digits[] = {{'0', '9'}};
static const struct regex_range word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct regex_range space[] = {{'\t', '\r'}, {' ', ' '}};
static const struct regex_range wide_space[] = {
    {'\t', '\r'},     {0x1c, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
    {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
    {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const struct regex_range beyond_ascii[] = {{0x80, CHARACTER_MAX}};
static const struct regex_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
static const struct regex_range letters[] = {
    {'A', 'Z'},       {'a', 'z'},       {0xc0, 0xd6},    {0xd8, 0xf6},   {0xf8, 0x2c1},
    {0x391, 0x3a1},   {0x3a3, 0x3ff},   {0x410, 0x44f},  {0x5d0, 0x5ea}, {0x3041, 0x3096},
    {0x30a1, 0x30fa}, {0x4e00, 0x9fa5}, {0xac00, 0xd7a3}};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- nodes ---- */

bool regex_grow(struct regex *r, void *array, size_t *cap, size_t need, size_t size) {
    const bool may = need <= 4 * (size_t)REGEX_MAX_NODES;
    if (need <= *cap || (may && array_grow(array, cap, need, size)))
        return true;
    r->budget->no_memory |= may;
    r->budget->left = 0;
    return false;
}

/* 0, or false. */
static uint32_t fail(struct regex *r, const char *what) {
    if (!r->fault)
        r->fault = what;
    return 0;
}

/* 0 after a failure, as of all that make nodes. */
static uint32_t new_node(struct regex *r, enum regex_kind kind, uint32_t first) {
    if (r->n_nodes >= REGEX_MAX_NODES || !budget_take(r->budget, 1) ||
        !regex_grow(r, &r->nodes, &r->cap_nodes, r->n_nodes + 2, sizeof *r->nodes))
        return 0;
    if (!r->n_nodes)
        r->nodes[r->n_nodes++] = (struct regex_node){.kind = REGEX_EMPTY};
    r->nodes[r->n_nodes] = (struct regex_node){.kind = kind, .first = first};
    return (uint32_t)r->n_nodes++;
}

static int peek(const struct regex *r) {
    return r->i < r->len ? (uint8_t)r->text[r->i] : -1;
}

static bool skip(struct regex *r, const char *what) {
    const size_t n = strlen(what);
    if (r->len - r->i < n || memcmp(r->text + r->i, what, n) != 0)
        return false;
    r->i += n;
    return true;
}

/* ---- classes ---- */

static bool add(struct regex *r, uint32_t lo, uint32_t hi) {
    if (!regex_grow(r, &r->ranges, &r->cap_ranges, r->n_ranges + 1, sizeof *r->ranges))
        return false;
    r->ranges[r->n_ranges++] = (struct regex_range){lo, hi};
    return true;
}

static bool add_all(struct regex *r, const struct regex_range *list, size_t n) {
    bool good = true;
    for (size_t i = 0; i < n && good; i++)
        good = add(r, list[i].lo, list[i].hi);
    return good;
}

static int compare_ranges(const void *a, const void *b) {
    const struct regex_range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* ranges[from..] ascending and apart, with negation carried out. */
static bool settle(struct regex *r, size_t from, bool negated) {
    size_t n = 0;
    if (!regex_grow(r, &r->ranges, &r->cap_ranges, r->n_ranges + 1, sizeof *r->ranges))
        return false; /* negated, there may be one more; an empty class has an array, too */
    struct regex_range *list = r->ranges + from;
    qsort(list, r->n_ranges - from, sizeof *list, compare_ranges);
    for (size_t i = 0; i < r->n_ranges - from; i++) {
        if (n && list[i].lo <= list[n - 1].hi + 1)
            list[n - 1].hi = list[i].hi > list[n - 1].hi ? list[i].hi : list[n - 1].hi;
        else
            list[n++] = list[i];
    }
    r->n_ranges = from + n;
    if (!negated)
        return true;
    uint32_t lo = 0;
    bool over = false;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const struct regex_range one = list[i];
        if (one.lo > lo)
            list[m++] = (struct regex_range){lo, one.lo - 1};
        lo = one.hi + 1;
        over = one.hi >= CHARACTER_MAX;
    }
    if (!over)
        list[m++] = (struct regex_range){lo, CHARACTER_MAX};
    r->n_ranges = from + m;
    return true;
}

/* What \d \w \s (and, negated, \D \W \S) hold, as the mode has it: the opposite of a wide one is
 * narrow. */
static bool add_shorthand(struct regex *r, int letter) {
    const bool negated = letter < 'a';
    const bool wide = (r->mode == REGEX_WIDE) != negated;
    const size_t from = r->n_ranges;
    bool good = true;
    switch (letter | 0x20) {
    case 'd':
        good = add_all(r, digits, COUNT(digits));
        break;
    case 'w':
        good = add_all(r, word, COUNT(word));
        break;
    default:
        good = wide ? add_all(r, wide_space, COUNT(wide_space)) : add_all(r, space, COUNT(space));
    }
    if ((letter | 0x20) != 's' && wide)
        good = good && add_all(r, beyond_ascii, 1);
    return good && settle(r, from, negated);
}

/* \p{L} and the like, some of them; narrow: letters that everyone knows as such. */
static bool add_property(struct regex *r, bool negated) {
    static const char *const names[] = {"{L}", "{Letter}", "{Alphabetic}", "{N}", "{Nd}"};
    const bool wide = (r->mode == REGEX_WIDE) != negated;
    const size_t from = r->n_ranges;
    size_t i = 0;
    while (i < COUNT(names) && !skip(r, names[i]))
        i++;
    if (i == COUNT(names))
        return fail(r, "this property of characters is not supported");
    return (i < 3 ? add_all(r, letters, COUNT(letters)) : add_all(r, digits, COUNT(digits))) &&
           (!wide || add_all(r, beyond_ascii, 1)) && settle(r, from, negated);
}

static bool read_hex(struct regex *r, unsigned n, uint32_t *code) {
    *code = 0;
    for (unsigned i = 0; i < n; i++, r->i++) {
        const int c = peek(r), low = c | 0x20;
        const int value = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 87 : -1;
        if (value < 0)
            return fail(r, "expected a hexadecimal digit");
        *code = *code << 4 | (uint32_t)value;
    }
    return true;
}

/* \u: four digits, two such that are a pair, or any in braces. */
static bool read_unicode(struct regex *r, uint32_t *code) {
    if (skip(r, "{")) {
        size_t n = 0;
        while (n < 6 && r->i + n < r->len && r->text[r->i + n] != '}')
            n++;
        if (!n || !read_hex(r, (unsigned)n, code) || !skip(r, "}") || *code > CHARACTER_MAX)
            return fail(r, "expected a code point in braces");
        return true;
    }
    if (!read_hex(r, 4, code))
        return false;
    if (*code >= 0xd800 && *code < 0xe000) {
        uint32_t low = 0;
        if (*code >= 0xdc00 || !skip(r, "\\u") || !read_hex(r, 4, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return fail(r, "half of a surrogate pair is not supported");
        *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    }
    return true;
}

/* A character behind a backslash that stands for one. */
static bool read_escape(struct regex *r, bool in_class, uint32_t *code) {
    static const char codes[] = "\t\n\v\f\r", names[] = "tnvfr";
    const int c = peek(r);
    const char *const name = c > 0 ? strchr(names, c) : NULL;
    if (c < 0)
        return fail(r, "expected an escape");
    r->i++;
    *code = (uint32_t)c;
    if (name)
        *code = (uint8_t)codes[name - names];
    else if (c == 'x')
        return read_hex(r, 2, code);
    else if (c == 'u')
        return read_unicode(r, code);
    else if (c == 'b' && in_class)
        *code = '\b';
    else if (c == '0' && (peek(r) < '0' || peek(r) > '9'))
        *code = 0;
    else if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
        r->i--;
        return fail(r, "this escape is not supported");
    }
    return true;
}

static bool read_char(struct regex *r, uint32_t *code) {
    const size_t n = utf8_char_len(r->text + r->i, r->len - r->i);
    if (!n)
        return fail(r, "expected UTF-8");
    *code = utf8_code_point(r->text + r->i, n);
    r->i += n;
    return true;
}

/* One item of a class: a shorthand (*set), or a character. */
static bool read_class_atom(struct regex *r, uint32_t *code, bool *set) {
    *set = false;
    if (!skip(r, "\\"))
        return read_char(r, code);
    const int c = peek(r);
    if (c > 0 && strchr("dDwWsS", c)) {
        r->i++;
        *set = true;
        return add_shorthand(r, c);
    }
    if (c == 'p' || c == 'P') {
        r->i++;
        *set = true;
        return add_property(r, c == 'P');
    }
    if (c == '-') {
        r->i++;
        *code = '-';
        return true;
    }
    return read_escape(r, true, code);
}

static uint32_t class_node(struct regex *r, size_t from) {
    const uint32_t n = new_node(r, REGEX_CLASS, 0);
    if (n) {
        r->nodes[n].min = (uint32_t)from;
        r->nodes[n].max = (uint32_t)r->n_ranges;
    }
    return n;
}

/* Behind the opening bracket. In a negated class, what is listed counts by the other mode. */
static uint32_t read_class(struct regex *r) {
    const size_t from = r->n_ranges;
    const bool negated = skip(r, "^");
    const enum regex_mode mode = r->mode;
    bool good = true;
    if (negated)
        r->mode = mode == REGEX_WIDE ? REGEX_NARROW : REGEX_WIDE;
    while (good && peek(r) != ']') {
        uint32_t lo = 0, hi = 0;
        bool set, hi_set = false;
        if (peek(r) < 0) {
            fail(r, "expected ] at the end of a class");
            good = false;
            break;
        }
        good = read_class_atom(r, &lo, &set);
        if (!good || set)
            continue;
        hi = lo;
        if (peek(r) == '-' && r->i + 1 < r->len && r->text[r->i + 1] != ']') {
            r->i++;
            good = read_class_atom(r, &hi, &hi_set);
            if (good && (hi_set || hi < lo)) {
                fail(r, "this range is not supported");
                good = false;
            }
        }
        good = good && add(r, lo, hi);
    }
    r->mode = mode;
    if (!good)
        return 0;
    r->i++;
    return settle(r, from, negated) ? class_node(r, from) : 0;
}

static uint32_t dot_node(struct regex *r) {
    const size_t from = r->n_ranges;
    const size_t n = r->mode == REGEX_WIDE ? 1 : COUNT(line_ends);
    return add_all(r, line_ends, n) && settle(r, from, true) ? class_node(r, from) : 0;
}

/* ---- the grammar of patterns ---- */

static uint32_t read_choice(struct regex *r);

static uint32_t read_group(struct regex *r) {
    if (skip(r, "?<") && (peek(r) == '=' || peek(r) == '!'))
        return fail(r, "look-behind is not supported");
    if (r->text[r->i - 1] == '<') {
        while (r->i < r->len && r->text[r->i] != '>')
            r->i++;
        r->i += r->i < r->len;
    } else if (peek(r) == '?' && !skip(r, "?:")) {
        return fail(r, "look-ahead here, or a group of this kind, is not supported");
    }
    if (++r->nesting > MAX_NESTING)
        return fail(r, "expected groups at most 50 deep");
    const uint32_t n = read_choice(r);
    r->nesting--;
    if (n && !skip(r, ")"))
        return fail(r, "expected ) at the end of a group");
    return n;
}

static uint32_t read_atom(struct regex *r) {
    uint32_t code;
    if (skip(r, "("))
        return read_group(r);
    if (skip(r, "["))
        return read_class(r);
    if (skip(r, "."))
        return dot_node(r);
    if (skip(r, "^"))
        return new_node(r, REGEX_BEGIN, 0);
    if (skip(r, "$"))
        return new_node(r, REGEX_END, 0);
    if (skip(r, "\\")) {
        const int c = peek(r);
        const size_t from = r->n_ranges;
        if (c == 'b' || c == 'B' || c == 'k' || (c >= '1' && c <= '9'))
            return fail(r, "this escape is not supported");
        if (c > 0 && strchr("dDwWsS", c)) {
            r->i++;
            return add_shorthand(r, c) ? class_node(r, from) : 0;
        }
        if (c == 'p' || c == 'P') {
            r->i++;
            return add_property(r, c == 'P') ? class_node(r, from) : 0;
        }
        return read_escape(r, false, &code) ? regex_range_node(r, code, code) : 0;
    }
    if (peek(r) > 0 && strchr("*+?", peek(r)))
        return fail(r, "expected something to repeat");
    return read_char(r, &code) ? regex_range_node(r, code, code) : 0;
}

static bool read_number(struct regex *r, uint32_t *n) {
    const size_t from = r->i;
    for (*n = 0; peek(r) >= '0' && peek(r) <= '9'; r->i++)
        *n = *n < 1000000 ? *n * 10 + (uint32_t)(peek(r) - '0') : *n;
    return r->i > from;
}

/* {n} {n,} {n,m}; where it is none of these, the brace is a character. */
static bool read_counts(struct regex *r, uint32_t *min, uint32_t *max) {
    const size_t from = r->i;
    if (skip(r, "{") && read_number(r, min)) {
        *max = *min;
        if (skip(r, ",") && !read_number(r, max))
            *max = REGEX_FOREVER;
        if (skip(r, "}"))
            return true;
    }
    r->i = from;
    return false;
}

static uint32_t read_repeated(struct regex *r) {
    uint32_t n = read_atom(r);
    while (n) {
        uint32_t min = 0, max = REGEX_FOREVER;
        if (skip(r, "+"))
            min = 1;
        else if (skip(r, "?"))
            max = 1;
        else if (!skip(r, "*") && !read_counts(r, &min, &max))
            break;
        skip(r, "?"); /* lazily or not: the same language */
        if (max < min)
            return fail(r, "expected a repetition whose numbers ascend");
        n = new_node(r, REGEX_REPEAT, n);
        if (n) {
            r->nodes[n].min = min;
            r->nodes[n].max = max;
        }
    }
    return n;
}

static uint32_t read_sequence(struct regex *r) {
    const uint32_t sequence = new_node(r, REGEX_SEQUENCE, 0);
    uint32_t last = 0;
    while (sequence && r->i < r->len && peek(r) != '|' && peek(r) != ')') {
        const uint32_t n = read_repeated(r);
        if (!n)
            return 0;
        if (last)
            r->nodes[last].next = n;
        else
            r->nodes[sequence].first = n;
        last = n;
    }
    return sequence;
}

static uint32_t read_choice(struct regex *r) {
    const uint32_t choice = new_node(r, REGEX_CHOICE, 0);
    uint32_t last = 0;
    do {
        const uint32_t n = choice ? read_sequence(r) : 0;
        if (!n)
            return 0;
        if (last)
            r->nodes[last].next = n;
        else
            r->nodes[choice].first = n;
        last = n;
    } while (skip(r, "|"));
    return choice;
}

uint32_t regex_read(struct regex *r) {
    const uint32_t node = read_choice(r);
    if (node && r->i < r->len)
        return fail(r, "this character is not supported");
    return r->fault ? 0 : node;
}

uint32_t regex_range_node(struct regex *r, uint32_t lo, uint32_t hi) {
    const size_t from = r->n_ranges;
    return add(r, lo, hi) ? class_node(r, from) : 0;
}

void regex_free(struct regex *r) {
    free(r->nodes);
    free(r->ranges);
}
