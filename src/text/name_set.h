/* The longest of some names at a place of a text. */
#ifndef BISE_SRC_TEXT_NAME_SET_H
#define BISE_SRC_TEXT_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set_name {
    const char *text; /* [len], not empty; not owned */
    uint32_t len;
    int32_t id;
    uint32_t flags; /* enum token_flag */
};

struct name_set {
    struct set_name *names; /* [n], sorted by name_set_sort */
    size_t n;
    bool begins[256]; /* the bytes that names begin with */
};

/* Room for n names; false without memory. */
bool name_set_open(struct name_set *m, size_t n);
void name_set_add(struct name_set *m, struct set_name name);
/* After the last name, before the first look-up. */
void name_set_sort(struct name_set *m);
/* The longest name at the beginning of s [n]; NULL if there is none. */
const struct set_name *name_set_longest(const struct name_set *m, const char *s, size_t n);
void name_set_close(struct name_set *m);

#endif
