/* Which type each tensor of a .bise file gets. */
#ifndef BISE_QUANT_TYPES_H
#define BISE_QUANT_TYPES_H

#include "quant/write/writer.h"
#include "src/model/shape.h"

struct type_options {
    const char *type, *head, *embed, *attention; /* NULL: chosen */
    const char *const *rules;                    /* [n_rules] REGEX=TYPE, later ones win */
    size_t n_rules;
    double bits; /* i4 and i8 mixed to so many; 0: no */
};

struct types {
    enum tensor_type type, head, embed, attention;
    const char *const *rules; /* [n_rules] of --tensor */
    size_t n_rules;
    double bits;   /* of --bits; 0: none */
    bool *by_rule; /* [n_tensors] whether a rule named it */
};

/* What the options say, before a source is opened. Errors: ARG (names the option). */
enum bise_status types_parse(struct types *t, const struct type_options *o, struct bise_error *err);
/* The list of a config's tensors, with types: *tensors [*n] is the caller's; its names are those in
 * *shapes, the caller's too. Errors: ARG (an option that does not go with this model; a rule that
 * names no matrix), MEMORY. */
enum bise_status types_apply(struct types *t, const struct type_options *o,
                             const struct model_config *config, struct tensor_shape **shapes,
                             struct writer_tensor **tensors, size_t *n, struct bise_error *err);
void types_close(struct types *t);
/* The types in words, for the recipe in the file. */
void types_describe(const struct types *t, const struct model_config *config, char *out,
                    size_t cap);

/* Sizes of tensors, summed up. */
struct type_share {
    uint64_t n_weights, bytes;
};
/* All of them, or the matrices of layers alone. */
struct type_share types_share(const struct writer_tensor *tensors, size_t n, bool layers_only);
double type_bits(const struct type_share *s);
/* Whether t is a matrix of a layer, the router aside. */
bool is_layer_matrix(const struct writer_tensor *t);
/* Whether it is one in i4 or i8: what calibration is about. */
bool is_rounded(const struct writer_tensor *t);

#endif
