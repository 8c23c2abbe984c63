#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *ours, *theirs;
} outer[] =
    {
        {"tok_embeddings", "model.embed_tokens"},
        {"norm", "model.norm"},
        {"output", "lm_head"},
},
  inner[] = {
      {"attention_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"},
      {"attention.wq", "self_attn.q_proj"},  {"attention.wk", "self_attn.k_proj"},
      {"attention.wv", "self_attn.v_proj"},  {"attention.wo", "self_attn.o_proj"},
      {"feed_forward.w1", "mlp.gate_proj"},  {"feed_forward.w2", "mlp.down_proj"},
      {"feed_forward.w3", "mlp.up_proj"},
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void hf_name(char *out, size_t cap, const char *name) {
    static const char moe[] = "feed_forward.";
    char *rest = NULL;
    for (size_t i = 0; i < COUNT(outer); i++)
        if (strcmp(name, outer[i].ours) == 0) {
            snprintf(out, cap, "%s.weight", outer[i].theirs);
            return;
        }
    const unsigned long layer = strtoul(name + strlen("layers."), &rest, 10);
    rest++; /* the dot */
    for (size_t i = 0; i < COUNT(inner); i++)
        if (strcmp(rest, inner[i].ours) == 0) {
            snprintf(out, cap, "model.layers.%lu.%s.weight", layer, inner[i].theirs);
            return;
        }
    /* feed_forward.gate, feed_forward.experts.E.w1 */
    snprintf(out, cap, "model.layers.%lu.block_sparse_moe.%s.weight", layer, rest + strlen(moe));
}

void origin_name(char *out, size_t cap, const char *name, enum naming naming) {
    if (naming == NAMING_CONSOLIDATED)
        snprintf(out, cap, "%s.weight", name);
    else
        hf_name(out, cap, name);
}

enum bise_status naming_of(const struct raw_set *set, const char *where, enum naming *naming,
                           struct bise_error *err) {
    for (int n = NAMING_HF; n <= NAMING_CONSOLIDATED; n++) {
        char name[64];
        *naming = (enum naming)n;
        origin_name(name, sizeof name, "tok_embeddings", *naming);
        if (raw_find(set, name))
            return BISE_OK;
    }
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: missing tensor: expected model.embed_tokens.weight or "
                     "tok_embeddings.weight among its %zu tensors",
                     where, set->n_tensors);
}

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool may_ignore(const char *origin) {
    const bool in_layer =
        strncmp(origin, "model.layers.", 13) == 0 || strncmp(origin, "layers.", 7) == 0;
    return !ends_with(origin, ".bias") && !(in_layer && ends_with(origin, ".weight"));
}
