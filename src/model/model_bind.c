#include "src/model/model_bind.h"

#include "src/base/error.h"
#include "src/model/shape.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const struct tensor *const *)a)->name,
                  (*(const struct tensor *const *)b)->name);
}

static int compare_key(const void *key, const void *element) {
    return strcmp(key, (*(const struct tensor *const *)element)->name);
}

/* Whether the tensor is what the model needs under its name. */
static enum bise_status check_tensor(const struct tensor *t, const struct tensor_shape *s,
                                     const char *name, struct bise_error *err) {
    if (t->rows != s->rows || t->cols != s->cols || t->is_vector != s->is_vector)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: expected a %s [%u][%u], found a %s [%u][%u]", name,
                         t->name, s->is_vector ? "vector" : "matrix", s->rows, s->cols,
                         t->is_vector ? "vector" : "matrix", t->rows, t->cols);
    if (s->is_router && t->type != TYPE_F32)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected type f32, found %s", name,
                         t->name, tensor_type_name(t->type));
    return BISE_OK;
}

/* found [n_shapes] receives the tensor of every shape; sorted [n_tensors] is by name. */
static enum bise_status find_all(const struct bise_model *m, const struct tensor_shape *shapes,
                                 size_t n_shapes, const struct tensor **sorted,
                                 const struct tensor **found, const char *name,
                                 struct bise_error *err) {
    for (size_t i = 0; i < n_shapes; i++) {
        const struct tensor *const *hit =
            bsearch(shapes[i].name, sorted, m->n_tensors, sizeof *sorted, compare_key);
        if (!hit)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s is missing", name,
                             shapes[i].name);
        found[i] = *hit;
        const enum bise_status s = check_tensor(found[i], &shapes[i], name, err);
        if (s != BISE_OK)
            return s;
    }
    return BISE_OK;
}

/* Every tensor of the file must be one of those found, once. */
static enum bise_status check_extra(const struct bise_model *m, const struct tensor **sorted,
                                    const struct tensor **found, size_t n_found, const char *name,
                                    struct bise_error *err) {
    for (size_t i = 1; i < m->n_tensors; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s is there twice", name,
                             sorted[i]->name);
    if (m->n_tensors == n_found)
        return BISE_OK;
    /* Not one twice and all there: the first that differs in two sorted lists is not ours. */
    qsort(found, n_found, sizeof *found, compare_names);
    size_t i = 0;
    while (i < n_found && sorted[i] == found[i])
        i++;
    return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s does not belong to such a model", name,
                     sorted[i]->name);
}

/* Hands out found [] in the order of config_shapes. */
static void assign(struct bise_model *m, const struct tensor *const *at) {
    const size_t n_ffn = m->config.n_experts ? m->config.n_experts : 1;
    const struct tensor **refs = m->expert_refs;
    m->embed = *at++;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        struct layer *l = &m->layers[i];
        l->attn_norm = *at++;
        l->wq = *at++;
        l->wk = *at++;
        l->wv = *at++;
        l->wo = *at++;
        l->ffn_norm = *at++;
        l->router = m->config.n_experts ? *at++ : NULL;
        l->w1 = refs;
        l->w2 = refs + n_ffn;
        l->w3 = refs + 2 * n_ffn;
        refs += 3 * n_ffn;
        for (size_t e = 0; e < n_ffn; e++) {
            l->w1[e] = *at++;
            l->w2[e] = *at++;
            l->w3[e] = *at++;
        }
    }
    m->norm = *at++;
    m->head = m->config.tied_head ? m->embed : *at++;
}

enum bise_status model_bind(struct bise_model *m, const char *name, struct bise_error *err) {
    struct tensor_shape *shapes = NULL;
    const struct tensor **sorted = NULL, **found = NULL;
    size_t n = 0;
    const size_t n_refs =
        3 * (size_t)m->config.n_layers * (m->config.n_experts ? m->config.n_experts : 1);
    enum bise_status s = config_shapes(&m->config, &shapes, &n, err);
    if (s != BISE_OK)
        return s;
    sorted = malloc((m->n_tensors + 1) * sizeof *sorted);
    found = calloc(n, sizeof *found);
    m->layers = calloc(m->config.n_layers, sizeof *m->layers);
    m->expert_refs = calloc(n_refs, sizeof *m->expert_refs);
    if (!sorted || !found || !m->layers || !m->expert_refs) {
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory to bind %zu tensors", name, n);
        goto done;
    }
    for (size_t i = 0; i < m->n_tensors; i++)
        sorted[i] = &m->tensors[i];
    qsort(sorted, m->n_tensors, sizeof *sorted, compare_names);
    s = find_all(m, shapes, n, sorted, found, name, err);
    if (s != BISE_OK)
        goto done;
    assign(m, found);
    s = check_extra(m, sorted, found, n, name, err);
done:
    free(shapes);
    free(sorted);
    free(found);
    if (s != BISE_OK)
        model_unbind(m);
    return s;
}

void model_unbind(struct bise_model *m) {
    free(m->layers);
    free(m->expert_refs);
    m->layers = NULL;
    m->expert_refs = NULL;
    m->embed = m->norm = m->head = NULL;
}
