/* Test vectors: one JSON object per line. */
#ifndef BISE_TESTS_UNIT_JSONL_H
#define BISE_TESTS_UNIT_JSONL_H

#include "src/base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole file, malloc'd, with a NUL behind it; NULL if there is none. */
static inline char *read_whole(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    cr_assert_not_null(data);
    *len = fread(data, 1, (size_t)size, f);
    cr_assert_eq(*len, (size_t)size);
    data[*len] = 0;
    fclose(f);
    return data;
}

/* A path below ../shared, or below $SHARED. */
static inline const char *shared_path(const char *name) {
    static char path[1024];
    const char *folder = getenv("SHARED");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared", name);
    return path;
}

/* Calls fn for every line; returns how many there were, 0 where there is no such file. */
static inline size_t each_line(const char *path,
                               void (*fn)(void *arg, const struct json_value *line), void *arg) {
    size_t len, n = 0;
    char *data = read_whole(path, &len);
    if (!data)
        return 0;
    for (char *at = data, *end; *at; at = end + (*end == '\n')) {
        end = at + strcspn(at, "\n");
        struct json *j = NULL;
        struct bise_error err = {0};
        cr_assert_eq(json_parse(&j, at, (size_t)(end - at), path, &err), BISE_OK, "%s", err.detail);
        fn(arg, json_root(j));
        json_close(&j);
        n++;
    }
    free(data);
    return n;
}

/* Whether ids are those of a JSON array. */
static inline bool ids_equal(const struct json_value *want, const int32_t *ids, size_t n) {
    size_t i = 0;
    for (const struct json_value *v = json_first(want); v; v = json_next(want, v), i++)
        if (i >= n || v->integer != ids[i])
            return false;
    return want && i == n;
}

#endif
