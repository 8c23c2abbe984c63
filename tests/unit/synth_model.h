/* Random models of a given shape for unit tests. */
#ifndef BISE_TESTS_UNIT_SYNTH_MODEL_H
#define BISE_TESTS_UNIT_SYNTH_MODEL_H

#include "tools/cmd/synth.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Writes a model of shape (as of bise synth) to path and opens it, as a copy in memory. */
static inline struct bise_model *synth_model(const char *path, const char *shape,
                                             enum tensor_type type) {
    struct bise_error err = {0};
    struct synth *s = calloc(1, sizeof *s);
    struct bise_model *m = NULL;
    cr_assert_not_null(s);
    s->type = type;
    s->n_threads = 1;
    synth_init_table(s);
    cr_assert_eq(synth_parse_shape(&s->config, shape, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(synth_write_bise(s, path, &err), BISE_OK, "%s", err.detail);
    free(s);
    const struct bise_model_params params = {.memory = BISE_MEMORY_HUGE, .n_threads = 1};
    cr_assert_eq(bise_model_open(&m, path, &params, &err), BISE_OK, "%s", err.detail);
    return m;
}

/* A session with two threads where none are asked for. */
static inline struct bise_session *open_session(const struct bise_model *m,
                                                struct bise_engine_params p) {
    struct bise_error err = {0};
    struct bise_session *s = NULL;
    p.n_threads = p.n_threads ? p.n_threads : 2;
    cr_assert_eq(bise_session_open(&s, m, &p, &err), BISE_OK, "%s", err.detail);
    return s;
}

#endif
