#include "observe.h"

#include <string.h>

void session_observe(struct bise_session *s, const struct observer *observer) {
    s->observer = observer;
}

void pass_observe(const struct pass *p, enum input input, size_t expert, const struct act *act,
                  unsigned form, size_t first, size_t n) {
    const struct observer *const to = p->s->observer;
    const struct observation seen = {p->layer, input, expert, act, form, first, n};
    if (to != NULL)
        to->see(to->user, p->s->pool, &seen);
}

static void dequantize(float *out, const int8_t *q, const float *d, size_t len, size_t block) {
    for (size_t i = 0; i < len; i++)
        out[i] = (float)q[i] * d[i / block];
}

void observed_get(float *out, const struct observation *o, size_t i, size_t at, size_t len) {
    const struct act *const act = o->act;
    const size_t e = (o->first + i) * act->k + at;
    if (o->form == FORM_F32)
        memcpy(out, act->f + e, len * sizeof *out);
    else if (o->form == FORM_Q32)
        dequantize(out, act->q32 + e, act->d32 + e / BLOCK_K, len, BLOCK_K);
    else
        dequantize(out, act->q128 + e, act->d128 + e / TILE_K, len, TILE_K);
}
