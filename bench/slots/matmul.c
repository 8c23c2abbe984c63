/* Calls of the matrix slots. */
#include "bench/slots/slots.h"
#include "kernels/float_formats.h"

#include <stdio.h>
#include <string.h>

enum tensor_type matmul_type(size_t slot) {
    if (slot == offsetof(struct kernels, matmul_f32_q128_i4))
        return TYPE_I4;
    if (slot == offsetof(struct kernels, matmul_f32_q32_i8))
        return TYPE_I8;
    return slot == offsetof(struct kernels, matmul_f32_f32_f32) ? TYPE_F32 : TYPE_BF16;
}

size_t matmul_block(enum tensor_type type) {
    return type == TYPE_I4 ? TILE_K : BLOCK_K;
}

static bool is_float(enum tensor_type type) {
    return type == TYPE_F32 || type == TYPE_BF16;
}

void matmul_run(const struct matmul_call *c, const struct kernels *k) {
    switch (c->type) {
    case TYPE_I4:
        k->matmul_f32_q128_i4(c->y, c->ldy, &c->q128, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    case TYPE_I8:
        k->matmul_f32_q32_i8(c->y, c->ldy, &c->q, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    case TYPE_F32:
        k->matmul_f32_f32_f32(c->y, c->ldy, c->x, c->ldx, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    default:
        k->matmul_f32_f32_bf16(c->y, c->ldy, c->x, c->ldx, c->n, &c->w, c->p0, c->p1, c->scratch);
    }
}

/* ---- inputs ------------------------------------------------------------------------------ */

/* What a file holds is not checked: bytes may be -128. */
static int limit_of(enum codes kind) {
    return kind == CODES_MIN ? 128 : 127;
}

static void fill_quantized_panel(struct inputs *in, uint8_t *panel, enum tensor_type type, size_t k,
                                 const struct matmul_content *c) {
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    float row_scales[PANEL_ROWS];
    fill_floats(in, row_scales, PANEL_ROWS, c->weights);
    row_scales[random_size(in, 0, 15)] = 0.0f;
    memcpy(panel, row_scales, sizeof row_scales);
    for (size_t tile = 0; tile < k / TILE_K; tile++) {
        uint8_t *t = panel + PANEL_HEAD + tile * tile_bytes;
        fill_codes(in, (int8_t *)t, TILE_SCALES, limit_of(c->scales), c->scales);
        t[random_size(in, 0, TILE_SCALES - 1)] = 0;
        if (type == TYPE_I8)
            fill_codes(in, (int8_t *)t + TILE_SCALES, tile_bytes - TILE_SCALES, limit_of(c->values),
                       c->values);
        for (size_t i = TILE_SCALES; type == TYPE_I4 && i < tile_bytes; i++)
            t[i] = (uint8_t)random_u64(in);
    }
}

static void fill_panels(struct inputs *in, struct matmul_call *call, size_t panels,
                        const struct matmul_content *c) {
    const enum tensor_type type = call->type;
    const size_t k = call->w.k, bytes = panel_bytes(type, k);
    uint8_t *data = in->alloc(in, panels * bytes);
    call->w.panels = data;
    if (type == TYPE_F32) {
        fill_floats(in, (float *)data, panels * PANEL_ROWS * k, c->weights);
    } else if (type == TYPE_BF16) {
        for (size_t i = 0; i < panels * PANEL_ROWS * k; i++) {
            float x;
            fill_floats(in, &x, 1, c->weights);
            ((uint16_t *)data)[i] = f32_to_bf16(x);
        }
    } else {
        for (size_t p = 0; p < panels; p++)
            fill_quantized_panel(in, data + p * bytes, type, k, c);
    }
    in->seal(in, data);
    if (type == TYPE_I4) {
        int8_t *codebook = in->alloc(in, CODEBOOK_SIZE);
        fill_codes(in, codebook, CODEBOOK_SIZE, 31, c->values);
        for (size_t i = 0; i < CODEBOOK_SIZE; i++)
            codebook[i] = codebook[i] == -31 ? -32 : codebook[i];
        in->seal(in, codebook);
        call->w.codebook = codebook;
    }
}

/* q [n][k] in the order of act_q128; what lies between is random. */
static void pack(struct inputs *in, struct matmul_call *call, const int8_t *q) {
    const size_t k = call->w.k, ld = call->n + random_size(in, 0, 3);
    const size_t bytes = ((k / PACK_K - 1) * ld + call->n) * PACK_K; /* ends with the last vector */
    int8_t *const packed = in->alloc(in, bytes);
    int32_t *const start = in->alloc(in, call->n * (k / BLOCK_K) * 4);
    for (size_t i = 0; i < bytes; i++)
        packed[i] = (int8_t)random_u64(in);
    memset(start, 0, call->n * (k / BLOCK_K) * 4);
    for (size_t i = 0; i < call->n * k; i++) {
        packed[(i % k / PACK_K * ld + i / k) * PACK_K + i % PACK_K] = q[i];
        start[i / BLOCK_K] -= I4_BIAS * q[i];
    }
    in->seal(in, packed);
    in->seal(in, start);
    call->q128 = (struct act_q128){packed, ld, call->q.d, start};
}

static void fill_activations(struct inputs *in, struct matmul_call *call,
                             const struct matmul_content *c) {
    const size_t k = call->w.k, block = matmul_block(call->type), n_blocks = call->n * (k / block);
    if (is_float(call->type)) {
        call->ldx = k + random_size(in, 0, 3);
        float *x = in->alloc(in, ((call->n - 1) * call->ldx + k) * 4);
        fill_floats(in, x, (call->n - 1) * call->ldx + k, c->floats);
        in->seal(in, x);
        call->x = x;
        return;
    }
    int8_t *q = in->alloc(in, call->n * k);
    float *d = in->alloc(in, n_blocks * 4);
    int32_t *sum = in->alloc(in, n_blocks * 4);
    fill_codes(in, q, call->n * k, 127, c->codes);
    fill_floats(in, d, n_blocks, c->floats);
    for (size_t i = 0; i < n_blocks; i++) {
        sum[i] = 0;
        for (size_t j = 0; j < block; j++)
            sum[i] += q[i * block + j];
    }
    in->seal(in, q);
    in->seal(in, d);
    in->seal(in, sum);
    call->q = (struct act_q8){.q = q, .d = d, .sum = sum};
    if (call->type == TYPE_I4)
        pack(in, call, q);
}

struct matmul_call matmul_make(struct inputs *in, size_t n, size_t k, size_t panels,
                               const struct matmul_content *c) {
    struct matmul_call call = {.type = matmul_type(in->slot), .w = {.k = k}, .n = n, .p1 = panels};
    fill_panels(in, &call, panels, c);
    fill_activations(in, &call, c);
    call.scratch = in->alloc(in, KERNEL_SCRATCH_BYTES);
    return call;
}

/* ---- shapes of a 7B model ---------------------------------------------------------------- */

static void call_matmul(const struct slot_case *c, const struct kernels *k) {
    matmul_run(&c->matmul, k);
}

/* Bytes: of weights, read once. */
bool matmul_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    static const struct matmul_content usual = {0};
    /* Columns, how many weights each has, rows; 0: so many that they come from memory. Those of a
     * short list are in front. */
    static const size_t shapes[][3] = {{1, 4096, 0},    {1, 4096, 128},   {4, 4096, 128},
                                       {16, 4096, 128}, {128, 4096, 128}, {2, 4096, 128},
                                       {8, 4096, 128},  {12, 4096, 128},  {32, 4096, 128},
                                       {64, 4096, 128}, {512, 4096, 128}, {128, 14336, 128}};
    if (i >= (brief ? 5 : sizeof shapes / sizeof *shapes))
        return false;
    const enum tensor_type type = matmul_type(in->slot);
    const size_t n = shapes[i][0], k = shapes[i][1], bytes = panel_bytes(type, k);
    const size_t panels =
        shapes[i][2] ? shapes[i][2] / PANEL_ROWS : (SLOT_STREAM + bytes - 1) / bytes;
    c->matmul = matmul_make(in, n, k, panels, &usual);
    c->matmul.ldy = panels * PANEL_ROWS;
    c->matmul.y = in->alloc(in, n * c->matmul.ldy * 4);
    c->bytes = (double)(bytes * panels);
    c->macs = (double)n * (double)k * (double)c->matmul.ldy;
    c->op = is_float(type) ? PEAK_FMA : type == TYPE_I4 ? PEAK_DOT6 : PEAK_DOT8;
    c->slow = c->macs > 1.5e8;
    c->call = call_matmul;
    (void)snprintf(c->shape, sizeof c->shape, "%zu x %zu x %zu", n, k, c->matmul.ldy);
    return true;
}
