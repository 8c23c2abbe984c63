/* A .bise file opened: config, tensors bound to their places, tokenizer. Const after opening. */
#ifndef BISE_SRC_MODEL_MODEL_H
#define BISE_SRC_MODEL_MODEL_H

#include "kernels/kernels.h"
#include "src/model/config.h"

struct tokenizer;

/* A matrix [rows][cols] in panels, or a vector (type f32, rows 1, cols its length, plain floats,
 * no panels: w.panels points at them). */
struct tensor {
    char name[64];
    enum tensor_type type;
    uint32_t rows, cols;
    bool is_vector;
    uint64_t offset, length; /* in the file */
    uint32_t crc;            /* CRC32C of the length bytes */
    float error;             /* relative error against the source, NaN if not measured */
    int8_t codebook[CODEBOOK_SIZE];
    struct wmat w; /* bound when the file is mapped; w.k = cols rounded up to TILE_K */
};

/* Pointers into bise_model.tensors. Names in the file, x = layer, e = expert:
 *   layers.x.attention_norm, layers.x.attention.{wq,wk,wv,wo}, layers.x.ffn_norm,
 *   layers.x.feed_forward.{w1,w2,w3}, or .gate and .experts.e.{w1,w2,w3}
 *   tok_embeddings, norm, output (absent where tied).
 * wq and wk rows are in half-rotated (Hugging Face) order. */
struct layer {
    const struct tensor *attn_norm, *ffn_norm; /* [dim] */
    const struct tensor *wq;                   /* [n_heads*head_dim][dim] */
    const struct tensor *wk, *wv;              /* [n_kv_heads*head_dim][dim] */
    const struct tensor *wo;                   /* [dim][n_heads*head_dim] */
    const struct tensor *router;               /* f32 [n_experts][dim]; NULL where dense */
    const struct tensor **w1, **w3;            /* [max(n_experts,1)] of [ffn_dim][dim] */
    const struct tensor **w2;                  /* [max(n_experts,1)] of [dim][ffn_dim] */
};

/* Where the file came from; free text, each at most 1023 bytes. */
struct provenance {
    char source[1024]; /* names and sizes of the files it was made from */
    char recipe[1024]; /* how it was quantized: program version, options */
    char eval[1024];   /* perplexity if measured */
    char name[128];    /* what the model is called, one line; "": as its file */
};

struct bise_model {
    char name[64]; /* of its file, cut where longer; for messages */
    struct model_config config;
    uint32_t version; /* of the file */
    struct bise_model_info info;
    struct provenance provenance;
    struct tensor *tensors; /* [n_tensors] in file order */
    size_t n_tensors;
    const struct tensor *embed, *norm, *head; /* head == embed where tied */
    struct layer *layers;                     /* [n_layers] */
    const struct tensor **expert_refs;        /* storage behind layer.w1, w2, w3 */
    struct tokenizer *tokenizer;              /* NULL if the file has none */
    const uint8_t *tokenizer_bytes;           /* the bundled tokenizer.model, as it was */
    size_t tokenizer_len;
    uint64_t tokenizer_offset; /* in the file */
    uint8_t *map;              /* the whole file */
    size_t map_len;
    bool map_is_copy; /* anonymous memory rather than a mapping of the file */
    char memory_phrase[160];
};

/* Sets embed, norm, head and layers (and their storage, freed by model_unbind) from the tensors,
 * each found by name and checked for shape and type together. name: the file's, for messages.
 * Errors: FORMAT (missing, twice, unknown, another shape), MEMORY. */
enum bise_status model_bind(struct bise_model *m, const char *name, struct bise_error *err);
void model_unbind(struct bise_model *m);

#endif
