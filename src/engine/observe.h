/* Watching what goes into a model's matrices while it runs: what calibration lives on. */
#ifndef BISE_SRC_ENGINE_OBSERVE_H
#define BISE_SRC_ENGINE_OBSERVE_H

#include "src/engine/buffers.h"
#include "src/os/pool.h"

/* Inputs that the matrices of a layer read; several share one. */
enum input {
    INPUT_ATTENTION, /* wq, wk, wv */
    INPUT_WO,
    INPUT_FFN, /* w1, w3 */
    INPUT_W2,
    INPUT_COUNT
};

/* Vectors first .. first + n - 1 of act, in the form they have there. */
struct observation {
    size_t layer;
    enum input input;
    size_t expert; /* of INPUT_FFN and INPUT_W2; 0 in dense models */
    const struct act *act;
    unsigned form;
    size_t first, n;
};

/* Called by the session's thread between regions; the pool is free for its use. */
struct observer {
    void (*see)(void *user, struct pool *pool, const struct observation *o);
    void *user;
};

/* From now on (NULL: no longer) the session's passes are watched, whole: the last layer is run for
 * every token. The observer stays the caller's. */
void session_observe(struct bise_session *s, const struct observer *observer);

/* Elements [at, at + len) of vector i of what was seen as floats; at and len: multiples of TILE_K.
 */
void observed_get(float *out, const struct observation *o, size_t i, size_t at, size_t len);

/* For the forward pass: tells the observer, if there is one. */
void pass_observe(const struct pass *p, enum input input, size_t expert, const struct act *act,
                  unsigned form, size_t first, size_t n);

#endif
