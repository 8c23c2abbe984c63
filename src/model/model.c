#include "src/model/model.h"

#include "src/base/error.h"
#include "src/model/format.h"
#include "src/model/model_memory.h"
#include "src/model/shape.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors find their places ---- */

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

/* ---- opening ---- */

/* Opens path and checks, from its size and first bytes alone, that it is a whole file of this
 * version. */
static enum bise_status open_file(int *fd, uint64_t *file_bytes, uint64_t *header_bytes,
                                  const char *path, struct bise_error *err) {
    uint8_t first[FORMAT_PREAMBLE];
    size_t n;
    enum bise_status s = file_open(path, fd, file_bytes, err);
    if (s == BISE_OK)
        s = file_read_upto(*fd, path, 0, first, sizeof first, &n, err);
    return s ? s : format_read_preamble(first, n, *file_bytes, path, header_bytes, err);
}

/* Everything the header says; m->map holds at least the header. */
static enum bise_status read_header(struct bise_model *m, uint64_t file_bytes, const char *path,
                                    struct bise_error *err) {
    struct file_header h;
    const enum bise_status s = format_read(&h, m->map, m->map_len, file_bytes, path, err);
    if (s != BISE_OK)
        return s;
    m->config = h.config;
    m->version = h.version;
    m->provenance = h.provenance;
    m->tensors = h.tensors;
    m->n_tensors = h.n_tensors;
    m->tokenizer_offset = h.tokenizer_offset;
    m->tokenizer_len = h.tokenizer_bytes;
    return model_bind(m, path, err);
}

/* Puts a copy in huge pages in the mapping's place, if that is asked for or better. */
static enum bise_status settle_memory(struct bise_model *m, int fd,
                                      const struct bise_model_params *params, const char *path,
                                      struct bise_error *err) {
    struct mem_facts facts;
    mem_facts(&facts);
    if (!memory_prefers_huge(params->memory, m->map_len, &facts, memory_have_huge_pages(),
                             m->memory_phrase, sizeof m->memory_phrase))
        return BISE_OK;
    const uint64_t left = mem_left(&facts);
    if (m->map_len > left)
        return bise_fail(err, BISE_ERR_MEMORY,
                         "%s: a copy of %zu bytes in huge pages; %llu are available", path,
                         m->map_len, (unsigned long long)left);
    uint8_t *copy;
    const struct memory_request request = {
        .fd = fd,
        .len = m->map_len,
        .name = path,
        .n_threads = params->n_threads,
        /* Cached pages count as available: they stay, for the next start, where there is room. */
        .drop_behind = m->map_len > left / 3,
        .may_decline = params->memory == BISE_MEMORY_AUTO,
        .progress = params->progress,
        .progress_user = params->progress_user,
    };
    const enum bise_status s = memory_read(&copy, &request, err);
    if (s != BISE_OK)
        return s;
    if (!copy) {
        snprintf(m->memory_phrase, sizeof m->memory_phrase,
                 "mapped file: this system is slow to give memory for a copy");
        return BISE_OK;
    }
    file_unmap(m->map, m->map_len);
    m->map = copy;
    m->map_is_copy = true;
    return BISE_OK;
}

/* Says how much of a mapped file is on the disk yet, so that a slow first prompt is no riddle. */
static void note_cold(struct bise_model *m) {
    const size_t at = strlen(m->memory_phrase);
    const int cold = m->map_is_copy ? 0 : file_map_cold(m->map, m->map_len);
    if (cold > 0)
        snprintf(m->memory_phrase + at, sizeof m->memory_phrase - at,
                 "; %d %% of it is still on the disk: the first prompt reads that", cold);
}

static void bind_data(struct bise_model *m) {
    for (size_t i = 0; i < m->n_tensors; i++) {
        struct tensor *t = &m->tensors[i];
        t->w.panels = m->map + t->offset;
        t->w.k = t->is_vector ? t->cols : round_up(t->cols, TILE_K);
        t->w.codebook = t->codebook;
    }
}

static enum bise_status open_tokenizer(struct bise_model *m, const char *path,
                                       struct bise_error *err) {
    if (m->tokenizer_len == 0)
        return BISE_OK;
    m->tokenizer_bytes = m->map + m->tokenizer_offset;
    const enum bise_status s =
        tokenizer_open(&m->tokenizer, m->tokenizer_bytes, m->tokenizer_len, path, err);
    if (s != BISE_OK)
        return s;
    if (tokenizer_has_rules(m->tokenizer) != m->config.own_rules)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the header says that the tokenizer has %srules of its own; it has "
                         "%s",
                         path, m->config.own_rules ? "" : "no ",
                         m->config.own_rules ? "none" : "some");
    for (uint32_t i = 0; i < m->config.n_eos; i++)
        tokenizer_reserve(m->tokenizer, m->config.eos_ids[i]);
    tokenizer_reserve(m->tokenizer, m->config.bos_id);
    const size_t n = tokenizer_size(m->tokenizer);
    if (n > m->config.vocab_size)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the tokenizer has %zu pieces, more than the model's vocabulary of %u",
                         path, n, m->config.vocab_size);
    return BISE_OK;
}

/* The type that holds most of the layers' matrices. */
static const char *main_type(const struct bise_model *m) {
    uint64_t sum[TYPE_COUNT] = {0};
    unsigned best = TYPE_F32;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        if (!t->is_vector && t != m->embed && t != m->head)
            sum[t->type] += (uint64_t)t->rows * t->cols;
    }
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (sum[i] > sum[best])
            best = i;
    return tensor_type_name((enum tensor_type)best);
}

static void fill_info(struct bise_model *m, uint64_t file_bytes) {
    const struct model_config *c = &m->config;
    m->info = (struct bise_model_info){
        .dim = c->dim,
        .n_layers = c->n_layers,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .ffn_dim = c->ffn_dim,
        .vocab_size = c->vocab_size,
        .n_experts = c->n_experts,
        .n_experts_used = c->n_experts_used,
        .window = c->window,
        .max_context = c->max_context,
        .rope_theta = c->rope_theta,
        .norm_eps = c->norm_eps,
        .bos_id = c->bos_id,
        .text_bos = config_text_bos(c),
        .text_eos = c->add_eos,
        .eos_ids = c->eos_ids,
        .n_eos = c->n_eos,
        .name = m->provenance.name,
        .chat_format = chat_format_name(c->chat),
        .weight_type = main_type(m),
        .memory = m->memory_phrase,
        .file_bytes = file_bytes,
        .has_tokenizer = m->tokenizer != NULL,
    };
    for (size_t i = 0; i < m->n_tensors; i++) {
        m->info.n_params += (uint64_t)m->tensors[i].rows * m->tensors[i].cols;
        m->info.weight_bytes += m->tensors[i].length;
    }
}

enum bise_status bise_model_open(struct bise_model **model, const char *path,
                                 const struct bise_model_params *params, struct bise_error *err) {
    static const struct bise_model_params defaults;
    uint64_t file_bytes = 0, header_bytes = 0;
    int fd = -1;
    if (!params)
        params = &defaults;
    if (!model || !path)
        return bise_fail(err, BISE_ERR_ARG, "bise_model_open: model and path are needed");
    *model = NULL;
    struct bise_model *m = calloc(1, sizeof *m);
    if (!m)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the model", path);
    snprintf(m->name, sizeof m->name, "%s", file_base(path));
    enum bise_status s = open_file(&fd, &file_bytes, &header_bytes, path, err);
    if (s == BISE_OK) {
        m->map_len = params->no_tensors ? header_bytes : file_bytes;
        s = file_map(fd, path, m->map_len, &m->map, err);
    }
    if (s == BISE_OK)
        s = read_header(m, file_bytes, path, err);
    if (s == BISE_OK && !params->no_tensors)
        s = settle_memory(m, fd, params, path, err);
    if (s == BISE_OK && !params->no_tensors)
        note_cold(m);
    if (s == BISE_OK)
        s = open_tokenizer(m, path, err);
    file_close(&fd);
    if (s != BISE_OK) {
        bise_model_close(&m);
        return s;
    }
    if (!params->no_tensors)
        bind_data(m);
    fill_info(m, file_bytes);
    *model = m;
    return BISE_OK;
}

void bise_model_close(struct bise_model **model) {
    struct bise_model *m = model ? *model : NULL;
    if (!m)
        return;
    tokenizer_close(&m->tokenizer);
    model_unbind(m);
    free(m->tensors);
    if (m->map_is_copy)
        mem_free(m->map, m->map_len);
    else
        file_unmap(m->map, m->map_len);
    free(m);
    *model = NULL;
}

const struct bise_model_info *bise_model_info(const struct bise_model *model) {
    return model ? &model->info : NULL;
}

/* ---- its tokenizer ---- */

enum bise_status bise_tokenize(const struct bise_model *model, const char *text, size_t len,
                               int32_t *ids, size_t cap, size_t *n_ids, struct bise_error *err) {
    if (!model || (!text && len > 0) || !n_ids || (!ids && cap > 0))
        return bise_fail(err, BISE_ERR_ARG, "bise_tokenize: model, text and ids are needed");
    *n_ids = 0;
    if (!model->tokenizer)
        return bise_fail(err, BISE_ERR_ARG, "the model file has no tokenizer");
    return tokenizer_encode(model->tokenizer, text, len, true, ids, cap, n_ids, err);
}

enum bise_status bise_tokenize_special(const struct bise_model *model, const char *text, size_t len,
                                       int32_t *ids, size_t cap, size_t *n_ids,
                                       struct bise_error *err) {
    *n_ids = 0;
    if (!model->tokenizer)
        return bise_fail(err, BISE_ERR_ARG, "the model file has no tokenizer");
    return tokenizer_encode_special(model->tokenizer, text, len, ids, cap, n_ids, err);
}

const char *bise_token_piece(const struct bise_model *model, int32_t id, size_t *len) {
    *len = 0;
    return model->tokenizer ? tokenizer_piece(model->tokenizer, id, len) : NULL;
}
