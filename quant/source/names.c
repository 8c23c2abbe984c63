#include "quant/source/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *ours, *hf, *gguf;
} outer[] =
    {
        {"tok_embeddings", "model.embed_tokens", "token_embd"},
        {"norm", "model.norm", "output_norm"},
        {"output", "lm_head", "output"},
},
  inner[] = {
      {"attention_norm", "input_layernorm", "attn_norm"},
      {"ffn_norm", "post_attention_layernorm", "ffn_norm"},
      {"attention.wq", "self_attn.q_proj", "attn_q"},
      {"attention.wk", "self_attn.k_proj", "attn_k"},
      {"attention.wv", "self_attn.v_proj", "attn_v"},
      {"attention.wo", "self_attn.o_proj", "attn_output"},
      {"feed_forward.w1", "mlp.gate_proj", "ffn_gate"},
      {"feed_forward.w2", "mlp.down_proj", "ffn_down"},
      {"feed_forward.w3", "mlp.up_proj", "ffn_up"},
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* feed_forward.gate and feed_forward.experts.E.w1 of a mixture. GGUF's names are those of its older
 * files, one tensor for each expert; newer ones are taken apart so. */
static void expert_name(char *out, size_t cap, const char *rest, unsigned long layer,
                        enum naming naming) {
    static const char moe[] = "feed_forward.", experts[] = "feed_forward.experts.";
    static const char *const matrices[] = {"gate", "down", "up"}; /* w1, w2, w3 */
    char *end = NULL;
    if (naming == NAMING_HF)
        snprintf(out, cap, "model.layers.%lu.block_sparse_moe.%s.weight", layer,
                 rest + strlen(moe));
    else if (strncmp(rest, experts, strlen(experts)) != 0)
        snprintf(out, cap, "blk.%lu.ffn_gate_inp.weight", layer);
    else {
        const unsigned long expert = strtoul(rest + strlen(experts), &end, 10);
        const unsigned matrix = (unsigned)(end[2] - '1') % 3; /* ".w1" */
        snprintf(out, cap, "blk.%lu.ffn_%s.%lu.weight", layer, matrices[matrix], expert);
    }
}

static void other_name(char *out, size_t cap, const char *name, enum naming naming) {
    const bool hf = naming == NAMING_HF;
    char *rest = NULL;
    for (size_t i = 0; i < COUNT(outer); i++)
        if (strcmp(name, outer[i].ours) == 0) {
            snprintf(out, cap, "%s.weight", hf ? outer[i].hf : outer[i].gguf);
            return;
        }
    const unsigned long layer = strtoul(name + strlen("layers."), &rest, 10);
    rest++; /* the dot */
    for (size_t i = 0; i < COUNT(inner); i++)
        if (strcmp(rest, inner[i].ours) == 0) {
            snprintf(out, cap, "%s.%lu.%s.weight", hf ? "model.layers" : "blk", layer,
                     hf ? inner[i].hf : inner[i].gguf);
            return;
        }
    expert_name(out, cap, rest, layer, naming);
}

/* As consolidated, but block_sparse_moe.gate.weight, and block_sparse_moe.w1 for every expert's. */
static void stacked_name(char *out, size_t cap, const char *name) {
    static const char moe[] = ".feed_forward.", gate[] = ".feed_forward.gate";
    const char *at = strstr(name, moe);
    const char *matrix = strrchr(name, '.');
    if (!at)
        snprintf(out, cap, "%s.weight", name);
    else
        snprintf(out, cap, "%.*s.block_sparse_moe%s%s", (int)(at - name), name, matrix,
                 strcmp(at, gate) == 0 ? ".weight" : "");
}

/* As Hugging Face's, but mlp.gate.weight, mlp.experts.gate_up_proj and down_proj, as transformers 5
 * holds a mixture. */
static void fused_name(char *out, size_t cap, const char *name) {
    static const char moe[] = ".feed_forward.", gate[] = ".feed_forward.gate";
    const char *at = strstr(name, moe);
    if (!at) {
        other_name(out, cap, name, NAMING_HF);
        return;
    }
    snprintf(out, cap, "model.%.*s.mlp.%s", (int)(at - name), name,
             strcmp(at, gate) == 0    ? "gate.weight"
             : ends_with(name, ".w2") ? "experts.down_proj"
                                      : "experts.gate_up_proj");
}

void origin_name(char *out, size_t cap, const char *name, enum naming naming) {
    if (naming == NAMING_CONSOLIDATED)
        snprintf(out, cap, "%s.weight", name);
    else if (naming == NAMING_STACKED)
        stacked_name(out, cap, name);
    else if (naming == NAMING_FUSED)
        fused_name(out, cap, name);
    else
        other_name(out, cap, name, naming);
}

enum bise_status naming_of(const struct raw_set *set, const char *where, enum naming *naming,
                           struct bise_error *err) {
    for (int n = NAMING_HF; n <= NAMING_GGUF; n++) {
        char name[64];
        *naming = (enum naming)n;
        origin_name(name, sizeof name, "tok_embeddings", *naming);
        if (!raw_find(set, name))
            continue;
        if (*naming == NAMING_CONSOLIDATED &&
            raw_find(set, "layers.0.block_sparse_moe.gate.weight"))
            *naming = NAMING_STACKED;
        if (*naming == NAMING_HF && raw_find(set, "model.layers.0.mlp.experts.gate_up_proj"))
            *naming = NAMING_FUSED;
        return BISE_OK;
    }
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: missing tensor: expected model.embed_tokens.weight, "
                     "tok_embeddings.weight or token_embd.weight among its %zu tensors",
                     where, set->n_tensors);
}

static bool begins_with(const char *name, const char *begin) {
    return strncmp(name, begin, strlen(begin)) == 0;
}

bool may_ignore(const char *origin) {
    if (begins_with(origin, "vision_tower.") || begins_with(origin, "multi_modal_projector."))
        return true;
    const bool in_layer = begins_with(origin, "model.layers.") || begins_with(origin, "layers.") ||
                          begins_with(origin, "blk.");
    return in_layer ? ends_with(origin, "inv_freq")
                    : !ends_with(origin, ".bias") && strcmp(origin, "rope_freqs.weight") != 0;
}
