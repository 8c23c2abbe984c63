#include "src/model/shape.h"

#include "src/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[TYPE_COUNT] = {
    [TYPE_F32] = "f32", [TYPE_BF16] = "bf16", [TYPE_I8] = "i8", [TYPE_I4] = "i4"};

const char *tensor_type_name(enum tensor_type type) {
    return (unsigned)type < TYPE_COUNT ? type_names[type] : "unknown";
}

enum tensor_type tensor_type_from_name(const char *name) {
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (strcmp(name, type_names[i]) == 0)
            return (enum tensor_type)i;
    return TYPE_COUNT;
}

uint64_t tensor_bytes(enum tensor_type type, uint32_t rows, uint32_t cols, bool is_vector) {
    if (is_vector)
        return (uint64_t)cols * sizeof(float);
    const uint64_t n_panels = round_up(rows, PANEL_ROWS) / PANEL_ROWS;
    return n_panels * panel_bytes(type, round_up(cols, TILE_K));
}

/* Appends one shape; prefix is "" or "layers.N.". */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static void
add(struct tensor_shape **at, uint32_t rows, uint32_t cols, const char *fmt, ...) {
    struct tensor_shape *s = (*at)++;
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->name, sizeof s->name, fmt, args);
    va_end(args);
    s->is_vector = rows == 0;
    s->rows = s->is_vector ? 1 : rows;
    s->cols = cols;
}

static void add_layer(struct tensor_shape **at, const struct model_config *c, uint32_t l) {
    const uint32_t q_rows = c->n_heads * c->head_dim, kv_rows = c->n_kv_heads * c->head_dim;
    add(at, 0, c->dim, "layers.%u.attention_norm", l);
    add(at, q_rows, c->dim, "layers.%u.attention.wq", l);
    add(at, kv_rows, c->dim, "layers.%u.attention.wk", l);
    add(at, kv_rows, c->dim, "layers.%u.attention.wv", l);
    add(at, c->dim, q_rows, "layers.%u.attention.wo", l);
    add(at, 0, c->dim, "layers.%u.ffn_norm", l);
    if (c->n_experts == 0) {
        add(at, c->ffn_dim, c->dim, "layers.%u.feed_forward.w1", l);
        add(at, c->dim, c->ffn_dim, "layers.%u.feed_forward.w2", l);
        add(at, c->ffn_dim, c->dim, "layers.%u.feed_forward.w3", l);
        return;
    }
    add(at, c->n_experts, c->dim, "layers.%u.feed_forward.gate", l);
    (*at)[-1].is_router = true;
    for (uint32_t e = 0; e < c->n_experts; e++) {
        add(at, c->ffn_dim, c->dim, "layers.%u.feed_forward.experts.%u.w1", l, e);
        add(at, c->dim, c->ffn_dim, "layers.%u.feed_forward.experts.%u.w2", l, e);
        add(at, c->ffn_dim, c->dim, "layers.%u.feed_forward.experts.%u.w3", l, e);
    }
}

enum bise_status config_shapes(const struct model_config *c, struct tensor_shape **shapes,
                               size_t *n, struct bise_error *err) {
    const size_t per_layer = 6 + (c->n_experts ? 1 + 3 * (size_t)c->n_experts : 3);
    *n = c->n_layers * per_layer + 2 + !c->tied_head;
    *shapes = calloc(*n, sizeof **shapes);
    if (!*shapes)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the list of %zu tensors", *n);
    struct tensor_shape *at = *shapes;
    add(&at, c->vocab_size, c->dim, "tok_embeddings");
    for (uint32_t l = 0; l < c->n_layers; l++)
        add_layer(&at, c, l);
    add(&at, 0, c->dim, "norm");
    if (!c->tied_head)
        add(&at, c->vocab_size, c->dim, "output");
    return BISE_OK;
}
