/* Calls of the vector slots. */
#include "bench/slots/slots.h"

#include <stdio.h>
#include <string.h>

bool vector_quantize(const struct kernels *k, size_t block, int8_t *q, float *d, int32_t *sum,
                     const float *x, size_t n) {
    if (block == 32)
        return k->quantize_q32(q, d, sum, x, n);
    if (block == 128)
        return k->quantize_q128(q, 2 * PACK_K, d, sum, x, n);
    return k->quantize_block(q, d, x, n);
}

void vector_map(const struct kernels *k, size_t slot, float *y, const float *x, float a, size_t n) {
    if (slot == offsetof(struct kernels, swiglu))
        k->swiglu(y, y, x, n);
    else if (slot == offsetof(struct kernels, add))
        k->add(y, x, n);
    else if (slot == offsetof(struct kernels, madd))
        k->madd(y, x, a, n);
    else
        k->scale(y, a, n);
}

/* ---- shapes of a 7B model ---------------------------------------------------------------- */

#define SLOT(s) offsetof(struct kernels, s)

/* Length, and bytes read for each element. */
static const struct {
    size_t slot, n, bytes;
} shapes[] = {
    {SLOT(quantize_q32), 14336, 4}, {SLOT(quantize_q128), 14336, 4}, {SLOT(quantize_block), 128, 4},
    {SLOT(rmsnorm), 4096, 8},       {SLOT(rope), 4096, 4},           {SLOT(swiglu), 14336, 8},
    {SLOT(add), 4096, 8},           {SLOT(madd), 4096, 8},           {SLOT(scale), 4096, 4},
    {SLOT(hadamard), 4096, 4},      {SLOT(quantize_i4), 128, 4},
};

/* Of what is copied anew: twice gives 128 times what it was. */
static void call_hadamard(const struct vector_call *v, const struct kernels *k) {
    memcpy(v->y, v->x, v->n * sizeof *v->y);
    k->hadamard(v->y, v->n / 128, 128);
}

static void call_vector(const struct slot_case *c, const struct kernels *k) {
    const struct vector_call *const v = &c->vector;
    if (c->slot == SLOT(quantize_q32))
        (void)vector_quantize(k, 32, v->q, v->d, v->sum, v->x, v->n);
    else if (c->slot == SLOT(quantize_q128))
        (void)vector_quantize(k, 128, v->q, v->d, v->sum, v->x, v->n);
    else if (c->slot == SLOT(quantize_block))
        (void)vector_quantize(k, 0, v->q, v->d, v->sum, v->x, v->n);
    else if (c->slot == SLOT(rmsnorm))
        (void)k->rmsnorm(v->y, v->x, v->w, v->n, 1e-5f);
    else if (c->slot == SLOT(rope))
        k->rope(v->y, v->n / 128, 128, v->w);
    else if (c->slot == SLOT(quantize_i4))
        (void)k->quantize_i4((uint8_t *)v->q, (uint8_t *)v->sum, v->d, v->x, v->n);
    else if (c->slot == SLOT(hadamard))
        call_hadamard(v, k);
    else if (c->slot == SLOT(swiglu))
        k->swiglu(v->y, v->x, v->w, v->n);
    else
        vector_map(k, c->slot, v->y, v->x, 1.0f, v->n);
}

bool vector_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    size_t at = 0;
    (void)brief;
    if (i > 0)
        return false;
    while (shapes[at].slot != in->slot)
        at++;
    const size_t n = shapes[at].n;
    struct vector_call *const v = &c->vector;
    v->n = n;
    v->x = make_floats(in, n, FLOATS_UNIT);
    v->w = in->alloc(in, n * 4);
    v->y = in->alloc(in, n * 4);
    v->q = in->alloc(in, 2 * n);
    v->d = in->alloc(in, n * 4);
    v->sum = in->alloc(in, n * 4);
    fill_floats(in, v->w, n, FLOATS_UNIT);
    fill_floats(in, v->y, n, FLOATS_UNIT);
    for (size_t k = 0; k < 128 && in->slot == SLOT(rope); k++)
        v->w[k] = k < 64 ? 0.6f : 0.8f; /* or what is rotated over and over would vanish */
    c->bytes = (double)(shapes[at].bytes * n);
    c->op = PEAK_READ;
    c->call = call_vector;
    (void)snprintf(c->shape, sizeof c->shape, "%zu", n);
    return true;
}
