#include "src/engine/observe.h"

#include "src/engine/engine.h"

#include <string.h>

void pass_observe(const struct pass *p, enum input input, size_t expert, const struct act *act,
                  unsigned form, size_t first, size_t n) {
    const struct observer *const to = p->e->observer;
    const struct observation seen = {p->layer, input, expert, act, form, first, n};
    if (to != NULL)
        to->see(to->user, p->e->pool, &seen);
}

static void get_q32(float *out, const struct act *act, size_t e, size_t len) {
    for (size_t i = e; i < e + len; i++)
        *out++ = (float)act->q32[i] * act->d32[i / BLOCK_K];
}

static void get_q128(float *out, const struct act *act, size_t column, size_t at, size_t len) {
    for (size_t i = at; i < at + len; i++) {
        const int8_t code = act->q128[(i / PACK_K * act->ld128 + column) * PACK_K + i % PACK_K];
        *out++ = (float)code * act->d128[(column * act->k + i) / TILE_K];
    }
}

void observed_get(float *out, const struct observation *o, size_t i, size_t at, size_t len) {
    const struct act *const act = o->act;
    const size_t e = (o->first + i) * act->k + at;
    if (o->form == FORM_F32)
        memcpy(out, act->f + e, len * sizeof *out);
    else if (o->form == FORM_Q32)
        get_q32(out, act, e, len);
    else
        get_q128(out, act, o->first + i, at, len);
}
