/* Typed access to the fields of a config file, with messages that name file and field. The first
 * fault is kept in err; later calls do nothing, so that a reader checks once at its end. */
#ifndef BISE_QUANT_SOURCE_FIELDS_H
#define BISE_QUANT_SOURCE_FIELDS_H

#include "quant/source/note.h"
#include "src/base/json.h"

struct fields {
    const struct json_value *object;
    const char *where; /* path of the file, for messages */
    struct note *note; /* may be NULL */
    struct bise_error *err;
    enum bise_status status;
};

/* The field; NULL if it is absent or null. */
const struct json_value *field(const struct fields *f, const char *key);
/* Whole numbers in 0..2^32-1. */
uint32_t field_u32(struct fields *f, const char *key);
uint32_t field_u32_or(struct fields *f, const char *key, uint32_t absent);
double field_number(struct fields *f, const char *key);
double field_number_or(struct fields *f, const char *key, double absent);
bool field_bool_or(struct fields *f, const char *key, bool absent);
/* One id or a list of ids into ids [cap]; returns how many. Absent: 0. Ids that are negative or not
 * below vocab can never occur: they are left out with a warning. */
uint32_t field_ids(struct fields *f, const char *key, uint32_t vocab, int32_t *ids, uint32_t cap);
/* What this program does not run: fails, naming the field, if it is there and not null, false, 0 or
 * empty. */
void field_refuse(struct fields *f, const char *key);
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void field_fail(struct fields *f, enum bise_status status, const char *fmt, ...);

#endif
