#include "quant/types.h"

#include "src/base/error.h"
#include "src/os/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum bise_status parse_type(enum tensor_type *out, const char *flag, const char *text,
                                   enum tensor_type absent, struct bise_error *err) {
    *out = text ? tensor_type_from_name(text) : absent;
    if (*out != TYPE_COUNT)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_ARG, "%s: expected i4, i8, bf16 or f32, found \"%s\"", flag,
                     text);
}

/* A rule's regex (malloc'd) and type. */
static enum bise_status split_rule(const char *rule, char **regex, enum tensor_type *type,
                                   struct bise_error *err) {
    const char *equals = strrchr(rule, '=');
    *regex = NULL;
    if (!equals || equals == rule)
        return bise_fail(err, BISE_ERR_ARG, "--tensor: expected REGEX=TYPE, found \"%s\"", rule);
    const enum bise_status s = parse_type(type, "--tensor", equals + 1, TYPE_COUNT, err);
    if (s)
        return s;
    *regex = strndup(rule, (size_t)(equals - rule));
    return *regex ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "--tensor: no memory");
}

/* Compiles a rule; *pattern is to be closed. */
static enum bise_status compile_rule(const char *rule, struct pattern **pattern,
                                     enum tensor_type *type, struct bise_error *err) {
    char *regex;
    *pattern = NULL;
    enum bise_status s = split_rule(rule, &regex, type, err);
    if (!s)
        s = pattern_open(pattern, regex, "--tensor", err);
    free(regex);
    return s;
}

/* Embeddings and head lose more by 4 bits than they save: i8 unless told. */
enum bise_status types_parse(struct types *t, const struct type_options *o,
                             struct bise_error *err) {
    *t = (struct types){.rules = o->rules, .n_rules = o->n_rules, .bits = o->bits};
    enum bise_status s = parse_type(&t->type, "--type", o->type, TYPE_I4, err);
    const enum tensor_type ends = t->type == TYPE_I4 ? TYPE_I8 : t->type;
    if (!s)
        s = parse_type(&t->head, "--head", o->head, ends, err);
    if (!s)
        s = parse_type(&t->embed, "--embed", o->embed, ends, err);
    if (!s)
        s = parse_type(&t->attention, "--attention", o->attention, t->type, err);
    for (size_t i = 0; i < o->n_rules && !s; i++) {
        struct pattern *pattern;
        enum tensor_type type;
        s = compile_rule(o->rules[i], &pattern, &type, err);
        pattern_close(&pattern);
    }
    return s;
}

static enum tensor_type type_of(const struct types *t, const struct tensor_shape *s) {
    if (s->is_vector || s->is_router)
        return TYPE_F32;
    if (strcmp(s->name, "tok_embeddings") == 0)
        return t->embed;
    if (strstr(s->name, ".attention.") != NULL)
        return t->attention;
    return strcmp(s->name, "output") == 0 ? t->head : t->type;
}

static enum bise_status apply_rule(struct types *t, const char *rule,
                                   const struct tensor_shape *shapes, struct writer_tensor *tensors,
                                   size_t n, struct bise_error *err) {
    struct pattern *pattern;
    enum tensor_type type;
    size_t n_found = 0;
    const enum bise_status s = compile_rule(rule, &pattern, &type, err);
    if (s)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (shapes[i].is_vector || shapes[i].is_router || !pattern_matches(pattern, shapes[i].name))
            continue;
        tensors[i].type = type;
        t->by_rule[i] = true;
        n_found++;
    }
    pattern_close(&pattern);
    if (n_found == 0)
        return bise_fail(err, BISE_ERR_ARG, "--tensor: no matrix has a name like \"%.*s\"",
                         (int)(strrchr(rule, '=') - rule), rule);
    return BISE_OK;
}

/* A mixture's attention is 3 % of its weights and decides, through the router, which experts are
 * run: rounding it to 8 bits turns near ties (docs/decisions.md), so i8 leaves it at 16. */
static enum bise_status check_config(struct types *t, const struct type_options *o,
                                     const struct model_config *config, struct bise_error *err) {
    if (config->tied_head && o->head)
        return bise_fail(err, BISE_ERR_ARG,
                         "--head: this model's head is its embedding matrix: use --embed");
    if (!o->attention && config->n_experts > 0 && t->type == TYPE_I8)
        t->attention = TYPE_BF16;
    return BISE_OK;
}

enum bise_status types_apply(struct types *t, const struct type_options *o,
                             const struct model_config *config, struct tensor_shape **shapes,
                             struct writer_tensor **tensors, size_t *n, struct bise_error *err) {
    *shapes = NULL;
    *tensors = NULL;
    enum bise_status s = check_config(t, o, config, err);
    if (!s)
        s = config_shapes(config, shapes, n, err);
    if (s)
        return s;
    *tensors = calloc(*n, sizeof **tensors);
    t->by_rule = calloc(*n, sizeof *t->by_rule);
    if (!*tensors || !t->by_rule)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", *n);
    for (size_t i = 0; i < *n; i++) {
        const struct tensor_shape *shape = &(*shapes)[i];
        (*tensors)[i] = (struct writer_tensor){shape->name, type_of(t, shape), shape->rows,
                                               shape->cols, shape->is_vector};
    }
    for (size_t i = 0; i < t->n_rules && !s; i++)
        s = apply_rule(t, t->rules[i], *shapes, *tensors, *n, err);
    return s;
}

void types_close(struct types *t) {
    free(t->by_rule);
    t->by_rule = NULL;
}

void types_describe(const struct types *t, const struct model_config *config, char *out,
                    size_t cap) {
    int n = snprintf(out, cap, "%s, attention %s, head %s, embeddings %s",
                     tensor_type_name(t->type), tensor_type_name(t->attention),
                     tensor_type_name(config->tied_head ? t->embed : t->head),
                     tensor_type_name(t->embed));
    if (t->bits > 0 && n > 0 && (size_t)n < cap)
        n += snprintf(out + n, cap - (size_t)n, ", layers with i8 to %g bits", t->bits);
    for (size_t i = 0; i < t->n_rules && n > 0 && (size_t)n < cap; i++)
        n += snprintf(out + n, cap - (size_t)n, ", %s", t->rules[i]);
}

bool is_layer_matrix(const struct writer_tensor *t) {
    const char *dot = strrchr(t->name, '.');
    return !t->is_vector && strncmp(t->name, "layers.", 7) == 0 && strcmp(dot, ".gate") != 0;
}

bool is_rounded(const struct writer_tensor *t) {
    return is_layer_matrix(t) && (t->type == TYPE_I4 || t->type == TYPE_I8);
}

struct type_share types_share(const struct writer_tensor *tensors, size_t n, bool layers_only) {
    struct type_share s = {0, 0};
    for (size_t i = 0; i < n; i++) {
        const struct writer_tensor *t = &tensors[i];
        if (layers_only && !is_layer_matrix(t))
            continue;
        s.n_weights += (uint64_t)t->rows * t->cols;
        s.bytes += tensor_bytes(t->type, t->rows, t->cols, t->is_vector);
    }
    return s;
}

double type_bits(const struct type_share *s) {
    return s->n_weights ? 8.0 * (double)s->bytes / (double)s->n_weights : 0;
}
