#include "quant/source/shards.h"

#include <stdio.h>
#include <string.h>

enum { DIGITS = 5 };

static bool take_number(const char *digits, unsigned *out) {
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *out = 10 * *out + (unsigned)(digits[i] - '0');
    }
    return true;
}

bool shard_parse(const char *name, struct shard_name *out) {
    static const char of[] = "-of-";
    const char *at = NULL; /* of the last "-of-" that fits */
    for (const char *p = strstr(name, of); p; p = strstr(p + 1, of))
        if (p - name > DIGITS && p[-DIGITS - 1] == '-' && take_number(p - DIGITS, &out->no) &&
            take_number(p + sizeof of - 1, &out->n))
            at = p;
    if (!at)
        return false;
    take_number(at - DIGITS, &out->no);
    take_number(at + sizeof of - 1, &out->n);
    out->stem = (size_t)(at - DIGITS - 1 - name);
    out->end = at + sizeof of - 1 + DIGITS;
    return out->no >= 1 && out->no <= out->n && out->n <= MAX_SHARDS;
}

bool shard_print(const char *name, const struct shard_name *s, unsigned no, char *out, size_t cap) {
    const int n = snprintf(out, cap, "%.*s-%05u-of-%05u%s", (int)s->stem, name, no, s->n, s->end);
    return n > 0 && (size_t)n < cap;
}
