/* What a model is: the numbers a .bise file's header carries and every part shares. */
#ifndef BISE_SRC_MODEL_CONFIG_H
#define BISE_SRC_MODEL_CONFIG_H

#include "src/text/chat_format.h"

#define MAX_LAYERS    1024u
#define MAX_EXPERTS   256u
#define MAX_HEAD_DIM  1024u
#define MAX_DIM       (1u << 20)
#define MAX_VOCAB     (1u << 22)
#define MAX_POSITIONS (1u << 30) /* window, longest context */

struct model_config {
    uint32_t dim, n_layers, n_heads, n_kv_heads, head_dim, ffn_dim, vocab_size;
    uint32_t n_experts, n_experts_used; /* 0: dense */
    uint32_t window;                    /* 0: full attention */
    uint32_t max_context;               /* 0: unknown */
    bool tied_head;                     /* the output head is the embedding matrix */
    double rope_theta;
    float norm_eps;
    int32_t bos_id;
    bool no_bos;    /* the beginning of a text is not marked by BOS */
    bool add_eos;   /* the end of a text is marked by EOS */
    bool own_rules; /* the tokenizer has rules of its own (tokenizer.h) */
    uint32_t n_eos;
    int32_t eos_ids[MAX_EOS];
    enum chat_format chat;
};

/* What a text of its own begins with; -1: nothing. */
static inline int32_t config_text_bos(const struct model_config *c) {
    return c->no_bos ? -1 : c->bos_id;
}

/* Every range and divisibility rule of a config, whatever it came from; where names the file in the
 * message. Errors: FORMAT, UNSUPPORTED. */
enum bise_status config_check(const struct model_config *c, const char *where,
                              struct bise_error *err);

#endif
