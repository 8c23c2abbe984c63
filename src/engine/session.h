/* A session: an engine of one sequence. */
#ifndef BISE_SRC_ENGINE_SESSION_H
#define BISE_SRC_ENGINE_SESSION_H

#include "src/engine/engine.h"

struct bise_session {
    struct bise_engine *engine;
    const volatile int *stop; /* of its calls; NULL: none */
};

static inline const struct sequence *session_sequence(const struct bise_session *s) {
    return &s->engine->seqs[0];
}

#endif
