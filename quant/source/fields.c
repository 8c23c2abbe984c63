#include "quant/source/fields.h"

#include <stdarg.h>
#include <stdio.h>

void field_fail(struct fields *f, enum bise_status status, const char *fmt, ...) {
    char what[256];
    va_list args;
    if (f->status)
        return;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    f->status = bise_fail(f->err, status, "%s: %s", f->where, what);
}

const struct json_value *field(const struct fields *f, const char *key) {
    const struct json_value *v = json_get(f->object, key);
    return v && v->kind != JSON_NULL ? v : NULL;
}

/* What was found, where a message can say more than its kind. */
static const char *found(const struct json_value *v, char buf[48]) {
    if (v && v->kind == JSON_NUMBER)
        snprintf(buf, 48, "%.17g", v->number);
    else if (v && v->kind == JSON_STRING)
        snprintf(buf, 48, "\"%.32s\"", v->string);
    else
        return json_describe(v);
    return buf;
}

static uint32_t u32_of(struct fields *f, const char *key, const struct json_value *v) {
    char buf[48];
    if (v && v->kind == JSON_NUMBER && v->number >= 0 && v->number <= UINT32_MAX &&
        v->number == (double)(uint32_t)v->number)
        return (uint32_t)v->number;
    field_fail(f, BISE_ERR_FORMAT, "%s: expected a whole number, found %s", key, found(v, buf));
    return 0;
}

uint32_t field_u32(struct fields *f, const char *key) {
    return u32_of(f, key, field(f, key));
}

uint32_t field_u32_or(struct fields *f, const char *key, uint32_t absent) {
    const struct json_value *v = field(f, key);
    return v ? u32_of(f, key, v) : absent;
}

double field_number(struct fields *f, const char *key) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (v && v->kind == JSON_NUMBER)
        return v->number;
    field_fail(f, BISE_ERR_FORMAT, "%s: expected a number, found %s", key, found(v, buf));
    return 0;
}

double field_number_or(struct fields *f, const char *key, double absent) {
    return field(f, key) ? field_number(f, key) : absent;
}

bool field_bool_or(struct fields *f, const char *key, bool absent) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (!v)
        return absent;
    if (v->kind != JSON_BOOL)
        field_fail(f, BISE_ERR_FORMAT, "%s: expected true or false, found %s", key, found(v, buf));
    return v->boolean;
}

uint32_t field_ids(struct fields *f, const char *key, uint32_t vocab, int32_t *ids, uint32_t cap) {
    const struct json_value *v = field(f, key);
    uint32_t n = 0;
    if (!v)
        return 0;
    const bool list = v->kind == JSON_ARRAY;
    for (const struct json_value *id = list ? json_first(v) : v; id && !f->status;
         id = list ? json_next(v, id) : NULL) {
        char buf[48];
        if (id->kind != JSON_NUMBER || !id->is_integer)
            field_fail(f, BISE_ERR_FORMAT, "%s: expected a token id, found %s", key,
                       found(id, buf));
        else if (id->integer < 0 || id->integer >= (int64_t)vocab)
            note_add(f->note,
                     "warning: %s: %s: %lld is no id below the vocabulary's %u: it is left out",
                     f->where, key, (long long)id->integer, vocab);
        else if (n == cap)
            field_fail(f, BISE_ERR_UNSUPPORTED, "%s: expected at most %u ids, found %zu", key, cap,
                       v->len);
        else
            ids[n++] = (int32_t)id->integer;
    }
    return n;
}

void field_refuse(struct fields *f, const char *key) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (!v || (v->kind == JSON_BOOL && !v->boolean) || (v->kind == JSON_NUMBER && v->number == 0) ||
        (v->kind != JSON_BOOL && v->kind != JSON_NUMBER && v->len == 0))
        return;
    field_fail(f, BISE_ERR_UNSUPPORTED,
               "%s is not supported: expected it to be absent or null, found %s", key,
               found(v, buf));
}
