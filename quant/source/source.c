#include "quant/source/configs.h"
#include "quant/source/folder.h"
#include "quant/source/raw.h"
#include "quant/source/source_impl.h"
#include "src/base/crc32c.h"
#include "src/model/shape.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- mixtures whose experts of a layer are one tensor ---- */

/* NAMING_STACKED, the first upload of Mixtral, consolidated.00.pt to .07.pt: block_sparse_moe.w1,
 * w2 and w3, each [n_experts * ffn_dim][dim], w2 transposed. NAMING_FUSED, transformers 5:
 * mlp.experts.gate_up_proj [n_experts][2 * ffn_dim][dim], w1 before w3, and down_proj
 * [n_experts][dim][ffn_dim]. */

static const char experts[] = ".feed_forward.experts.";

/* Whether name is that of an expert's matrix in model.h. */
static bool is_expert(const char *name) {
    return strstr(name, experts) != NULL;
}

/* The whole's shape: two dimensions, or with the number of experts before them three. */
static enum bise_status check_whole(const struct raw_tensor *whole, const char *path,
                                    const uint64_t shape[3], unsigned n_dims,
                                    struct bise_error *err) {
    bool same = whole->n_dims == n_dims;
    if (whole->type > RAW_BF16)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: tensor %s: expected dtype F32, F16 or BF16, found %s", path,
                         whole->name, whole->dtype);
    for (unsigned i = 0; i < n_dims; i++)
        same = same && whole->shape[i] == shape[i];
    if (same)
        return BISE_OK;
    char expected[96], found[96];
    raw_print_shape(expected, sizeof expected, shape, n_dims);
    raw_print_shape(found, sizeof found, whole->shape, whole->n_dims);
    return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected shape %s, found %s", path,
                     whole->name, expected, found);
}

/* The raw tensor of an expert's matrix [n_rows][n_cols], called `name` in model.h: a part of the
 * whole it stands in. Errors: FORMAT (no such whole, or of another shape), UNSUPPORTED. */
static enum bise_status stacked_part(const struct source *s, const char *name, uint32_t n_rows,
                                     uint32_t n_cols, struct raw_tensor *part,
                                     struct bise_error *err) {
    char origin[64], *end = NULL;
    const unsigned long expert = strtoul(strstr(name, experts) + strlen(experts), &end, 10);
    const uint64_t n_experts = s->config.n_experts, dim = s->config.dim, ffn = s->config.ffn_dim;
    const bool fused = s->naming == NAMING_FUSED, is_w2 = end[2] == '2'; /* ".w2" */
    origin_name(origin, sizeof origin, name, s->naming);
    const struct raw_tensor *whole = raw_find(&s->raw, origin);
    if (!whole)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: missing tensor %s", s->raw.files[0].path,
                         origin);
    const uint64_t stacked[3] = {n_experts * ffn, dim}, up[3] = {n_experts, 2 * ffn, dim},
                   down[3] = {n_experts, dim, ffn};
    const enum bise_status status = check_whole(whole, s->raw.files[whole->file].path,
                                                !fused  ? stacked
                                                : is_w2 ? down
                                                        : up,
                                                fused ? 3 : 2, err);
    if (status)
        return status;
    const uint64_t in_each = fused && !is_w2 ? 2 : 1; /* matrices of an expert in this tensor */
    *part = *whole;
    part->whole = whole;
    part->transposed = !fused && is_w2;
    part->n_dims = 2;
    part->shape[0] = n_rows;
    part->shape[1] = n_cols;
    part->bytes = whole->bytes / (n_experts * in_each);
    part->offset += (expert * in_each + (in_each == 2 && end[2] == '3')) * part->bytes;
    return BISE_OK;
}

/* ---- weights that somebody else has quantized, or that are no whole model ---- */

/* In the order in which they are looked for: GPTQ's tensors are AWQ's and one more, and scales
 * beside weights of other types are MLX's. */
static const struct {
    const char *part; /* of a tensor's name: its end, or, with a dot at its end, anything in it */
    const char *what;
} marks[] = {
    {".lora_A.", "a LoRA adapter"},
    {".lora_B.", "a LoRA adapter"},
    {".g_idx", "weights quantized by GPTQ"},
    {".qweight", "weights quantized by AWQ"},
    {".quant_map", "weights quantized by bitsandbytes"},
    {".absmax", "weights quantized by bitsandbytes"},
    {".SCB", "weights quantized by bitsandbytes"},
    {".quant_state.bitsandbytes__nf4", "weights quantized by bitsandbytes"},
    {".quant_state.bitsandbytes__fp4", "weights quantized by bitsandbytes"},
    {".weight_packed", "weights quantized by compressed-tensors"},
    {".weight_scale_inv", "FP8 weights"},
    {".weight_scale", "FP8 weights"},
    {".q_weight", "weights quantized by ExLlamaV2"},
    {".W_q", "weights quantized by HQQ"},
    {".codebooks", "weights quantized by AQLM"},
    {".biases", "weights quantized by MLX"},
};

static bool has_part(const char *name, const char *part) {
    return part[strlen(part) - 1] == '.' ? strstr(name, part) != NULL : ends_with(name, part);
}

static enum bise_status refuse(const struct raw_set *set, const struct raw_tensor *t,
                               const char *what, struct bise_error *err) {
    const bool adapter = strstr(what, "adapter") != NULL;
    return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s holds %s (tensor %.128s): %s",
                     set->files[t->file].path, what, t->name,
                     adapter ? "merge it into its base model first, and quantize the result"
                             : "take the checkpoint they were made from, with 16 or 32 bits");
}

/* Refuses GPTQ, AWQ, bitsandbytes, MLX, FP8 ... by name. Errors: UNSUPPORTED. */
static enum bise_status refuse_foreign(const struct raw_set *set, struct bise_error *err) {
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
        for (size_t i = 0; i < set->n_tensors; i++)
            if (has_part(set->tensors[i].name, marks[m].part))
                return refuse(set, &set->tensors[i], marks[m].what, err);
    for (size_t i = 0; i < set->n_tensors; i++)
        if (strncmp(set->tensors[i].dtype, "F8_", 3) == 0)
            return refuse(set, &set->tensors[i], "FP8 weights", err);
    return BISE_OK;
}

/* Whether a model's name is one of those that follow instructions. */
static bool is_instruct(const char *name) {
    static const char *const words[] = {"instruct", "-chat", "_chat", "-it"};
    for (; *name; name++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (begins_with_any_case(name, words[i]))
                return true;
    return false;
}

/* config.json or params.json, whichever belongs to the weights' names; the other if it is missing.
 * *where: its path, the caller's. *quant_method: what it says of quantization, or "". */
static enum bise_status read_config(struct source *s, const struct folder *f, char **where,
                                    char quant_method[64], struct note *note,
                                    struct bise_error *err) {
    static const char *const names[] = {"params.json", "config.json"};
    bool hf = !naming_in_pairs(s->naming);
    const char *const expected = names[hf];
    struct json *config = NULL, *generation = NULL;
    char *generation_path = file_join(f->path, "generation_config.json");
    enum bise_status status = generation_path
                                  ? folder_read_json(f, names[hf], &config, err)
                                  : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", f->path);
    if (!status && !config) {
        hf = !hf;
        status = folder_read_json(f, names[hf], &config, err);
    }
    if (!status && !config)
        status = bise_fail(err, BISE_ERR_FORMAT, "%s: expected %s beside the weights", f->path,
                           expected);
    if (!status && hf)
        status = folder_read_json(f, "generation_config.json", &generation, err);
    if (!status && !(*where = file_join(f->path, names[hf])))
        status = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", f->path);
    const struct config_place place = {*where, generation_path, note};
    if (!status && hf)
        status = config_from_hf(json_root(config), generation ? json_root(generation) : NULL,
                                &place, &s->config, err);
    else if (!status)
        status = config_from_params(json_root(config), &place, &s->config, err);
    const struct json_value *name = status ? NULL : json_get(json_root(config), "_name_or_path");
    s->says_instruct =
        is_instruct(f->path) || (name && name->kind == JSON_STRING && is_instruct(name->string));
    const char *method = status ? NULL : config_quant_method(json_root(config));
    snprintf(quant_method, 64, "%s", method ? method : "");
    json_close(&config);
    json_close(&generation);
    free(generation_path);
    return status;
}

/* Rows of a tensor of model.h; 0 if it is not there. */
static uint64_t rows_of(const struct source *s, const char *name) {
    char origin[64];
    origin_name(origin, sizeof origin, name, s->naming);
    const struct raw_tensor *t = raw_find(&s->raw, origin);
    return t ? t->shape[0] : 0;
}

/* What a config may leave to the shapes: the KV heads by wk, and, in Llama 2's params.json, the
 * hidden size of the FFN by w1 and the vocabulary by the embedding. */
static void derive_sizes(struct source *s) {
    struct model_config *c = &s->config;
    const uint64_t kv_rows = rows_of(s, "layers.0.attention.wk");
    if (c->n_kv_heads == 0 && c->head_dim > 0 && kv_rows / c->head_dim <= c->n_heads)
        c->n_kv_heads = (uint32_t)(kv_rows / c->head_dim);
    if (c->ffn_dim == 0)
        c->ffn_dim = (uint32_t)rows_of(s, "layers.0.feed_forward.w1");
    if (c->vocab_size == 0)
        c->vocab_size = (uint32_t)rows_of(s, "tok_embeddings");
}

/* Finds the tensor of shape number i and checks it. */
static enum bise_status bind(struct source *s, const struct folder *f,
                             const struct tensor_shape *shape, size_t i, struct bise_error *err) {
    struct source_tensor *t = &s->tensors[i];
    const uint64_t wanted[2] = {shape->is_vector ? shape->cols : shape->rows, shape->cols};
    const unsigned n_dims = shape->is_vector ? 1 : 2;
    snprintf(t->name, sizeof t->name, "%s", shape->name);
    origin_name(t->origin, sizeof t->origin, shape->name, s->naming);
    const bool stacked = naming_is_stacked(s->naming) && is_expert(shape->name);
    const enum bise_status status =
        stacked ? stacked_part(s, shape->name, shape->rows, shape->cols, &s->parts[i], err)
                : BISE_OK;
    if (status)
        return status;
    const struct raw_tensor *raw = stacked ? &s->parts[i] : raw_find(&s->raw, t->origin);
    if (!raw)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: missing tensor %s", f->path, t->origin);
    const char *path = s->raw.files[raw->file].path;
    if (raw->n_dims != n_dims || raw->shape[0] != wanted[0] ||
        (n_dims == 2 && raw->shape[1] != wanted[1])) {
        char a[96], b[96];
        raw_print_shape(a, sizeof a, wanted, n_dims);
        raw_print_shape(b, sizeof b, raw->shape, raw->n_dims);
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected shape %s, found %s", path,
                         t->origin, a, b);
    }
    if (raw->type == RAW_OTHER)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: tensor %s: expected dtype F32, F16 or BF16, found %s", path,
                         t->origin, raw->dtype);
    t->rows = shape->rows;
    t->cols = shape->cols;
    t->is_vector = shape->is_vector;
    t->bytes = raw->bytes;
    s->raws[i] = raw;
    return BISE_OK;
}

static int by_address(const void *a, const void *b) {
    const struct raw_tensor *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

/* What the config did not ask for: tables are left out with a note, others refused. */
static enum bise_status check_extra(const struct source *s, struct note *note,
                                    struct bise_error *err) {
    const struct raw_tensor *first = NULL;
    size_t n = 0;
    const struct raw_tensor **bound = malloc(s->n_tensors * sizeof *bound);
    if (!bound)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", s->n_tensors);
    for (size_t i = 0; i < s->n_tensors; i++)
        bound[i] = s->raws[i]->whole ? s->raws[i]->whole : s->raws[i];
    qsort(bound, s->n_tensors, sizeof *bound, by_address);
    for (size_t i = 0, j = 0; i < s->raw.n_tensors; i++) {
        const struct raw_tensor *t = &s->raw.tensors[i];
        if (j < s->n_tensors && bound[j] == t) {
            while (j < s->n_tensors && bound[j] == t)
                j++;
            continue;
        }
        if (!may_ignore(t->name)) {
            free(bound);
            return bise_fail(err, BISE_ERR_UNSUPPORTED,
                             "%s: tensor %.128s is not part of this architecture",
                             s->raw.files[t->file].path, t->name);
        }
        first = n++ ? first : t;
    }
    free(bound);
    if (n == 1)
        note_add(note, "tensor %s is not needed", first->name);
    else if (n > 1)
        note_add(note, "%zu tensors are not needed, the first is %s", n, first->name);
    return BISE_OK;
}

static enum bise_status bind_all(struct source *s, const struct folder *f, struct note *note,
                                 struct bise_error *err) {
    struct tensor_shape *shapes = NULL;
    enum bise_status status = config_shapes(&s->config, &shapes, &s->n_tensors, err);
    if (status)
        return status;
    s->tensors = calloc(s->n_tensors, sizeof *s->tensors);
    s->raws = calloc(s->n_tensors, sizeof *s->raws);
    s->parts = calloc(naming_is_stacked(s->naming) ? s->n_tensors : 1, sizeof *s->parts);
    if (!s->tensors || !s->raws || !s->parts)
        status =
            bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", s->n_tensors);
    for (size_t i = 0; i < s->n_tensors && !status; i++)
        status = bind(s, f, &shapes[i], i, err);
    free(shapes);
    return status ? status : check_extra(s, note, err);
}

static enum bise_status find_tokenizer(struct source *s, const struct folder *f,
                                       struct bise_error *err) {
    static const char *const names[] = {"tokenizer.model", "tokenizer.model.v3", "tokenizer.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (folder_has(f, names[i])) {
            s->tokenizer_path = file_join(f->path, names[i]);
            return s->tokenizer_path ? BISE_OK
                                     : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", f->path);
        }
    if (folder_has(f, "tekken.json"))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s/tekken.json: tekken tokenizers are not supported: expected a "
                         "SentencePiece tokenizer.model",
                         f->path);
    return BISE_OK;
}

/* The template of tokenizer_config.json: a string, or the one named "default" in a list; or file
 * chat_template.jinja. */
static enum bise_status read_template(struct source *s, const struct folder *f,
                                      struct bise_error *err) {
    struct json *j = NULL;
    uint8_t *text = NULL;
    size_t len;
    char *path = NULL;
    enum bise_status status = folder_read_json(f, "tokenizer_config.json", &j, err);
    if (status)
        return status;
    s->has_tokenizer_config = j != NULL;
    const struct json_value *v = j ? json_get(json_root(j), "chat_template") : NULL;
    if (v && v->kind == JSON_ARRAY) {
        const struct json_value *list = v;
        for (v = json_first(list); v && !json_is(json_get(v, "name"), "default");)
            v = json_next(list, v);
        v = json_get(v, "template");
    }
    if (folder_has(f, "chat_template.jinja")) {
        path = file_join(f->path, "chat_template.jinja");
        status = path ? file_read_whole(path, CONFIG_MAX_BYTES, &text, &len, err)
                      : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", f->path);
        s->chat_template = (char *)text;
    } else if (v && v->kind == JSON_STRING) {
        s->chat_template = strdup(v->string);
        if (!s->chat_template)
            status = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", f->path);
    }
    free(path);
    json_close(&j);
    return status;
}

/* The parts of a GGUF file: the first one's metadata are the model's. */
static enum bise_status add_gguf_part(struct source *s, const struct folder *f, size_t i,
                                      struct bise_error *err) {
    struct gguf rest = {0};
    struct gguf *g = i == 0 ? &s->gguf : &rest;
    enum bise_status status = raw_add_gguf(&s->raw, g, f->weights[i], err);
    if (!status)
        status = gguf_check_part(g, i, f->n_weights, f->weights[i], err);
    gguf_close(&rest);
    return status;
}

static enum bise_status add_weights(struct source *s, const struct folder *f, size_t i,
                                    struct bise_error *err) {
    switch (f->kind) {
    case FILE_GGUF:
        return add_gguf_part(s, f, i, err);
    case FILE_SAFETENSORS:
        return raw_add_safetensors(&s->raw, f->weights[i], err);
    case FILE_TORCH:
        return raw_add_torch(&s->raw, f->weights[i], err);
    case FILE_BISE:
        break;
    }
    return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: a .bise file within a checkpoint",
                     f->weights[i]);
}

/* Models that take more than text have theirs under a name before it. */
static void strip_prefix(struct raw_set *set) {
    static const char prefix[] = "language_model.";
    for (size_t i = 0; i < set->n_tensors; i++)
        if (strncmp(set->tensors[i].name, prefix, sizeof prefix - 1) == 0)
            set->tensors[i].name += sizeof prefix - 1;
}

/* Config, tokenizer and chat template of a GGUF file are its metadata. */
static enum bise_status read_gguf(struct source *s, const char *path, struct note *note,
                                  struct bise_error *err) {
    enum bise_status status = config_from_gguf(&s->gguf, &s->raw, path, &s->config, note, err);
    if (!status)
        status =
            tokenizer_from_gguf(&s->gguf, path, &s->tokenizer_bytes, &s->tokenizer_len, note, err);
    const struct gguf_value *v = gguf_find(&s->gguf, "tokenizer.chat_template");
    if (status || !v || v->type != GGUF_STRING)
        return status;
    s->chat_template = strndup(v->text.data, v->text.len);
    return s->chat_template ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
}

/* What the user should know before a GGUF file is rounded once more. */
static void note_gguf(const struct source *s, const char *path, struct note *note) {
    for (size_t i = 0; i < s->n_tensors; i++)
        if (s->raws[i]->type >= RAW_Q4_0 && s->raws[i]->type < RAW_OTHER &&
            s->raws[i]->type != RAW_Q8_0) {
            note_add(note,
                     "%s: its weights are rounded already (%s: %s): rounding them again adds to "
                     "the loss, a file with 8 or 16 bits is better",
                     path, s->raws[i]->name, s->raws[i]->dtype);
            break;
        }
    if (s->config.window == 0)
        note_add(note,
                 "%s does not say whether the model has a sliding window: none is set (Mistral 7B "
                 "v0.1 needs --window 4096)",
                 path);
    if (!s->tokenizer_bytes)
        note_add(note, "%s holds no SentencePiece tokenizer", path);
}

/* Every file counts for the identity, whether the description has room for it or not. */
static void describe(struct source *s) {
    size_t n = 0;
    uint32_t crc[2] = {0, 0};
    for (size_t i = 0; i < s->raw.n_files; i++) {
        const struct raw_file *f = &s->raw.files[i];
        const size_t room = sizeof s->description - n;
        const int added = snprintf(s->description + n, room, "%s%s (%llu bytes)", i ? ", " : "",
                                   file_base(f->path), (unsigned long long)f->size);
        n += added > 0 && (size_t)added < room ? (size_t)added : room - 1;
        int64_t mark[4];
        if (!file_mark(f->fd, mark))
            continue;
        crc[0] = crc32c(crc[0], mark, sizeof mark / 2);
        crc[1] = crc32c(crc[1], mark, sizeof mark);
    }
    s->identity = (uint64_t)crc[0] << 32 | crc[1];
}

static enum bise_status read_weights(struct source *s, const struct folder *f,
                                     struct bise_error *err) {
    enum bise_status status = BISE_OK;
    for (size_t i = 0; i < f->n_weights && !status; i++)
        status = add_weights(s, f, i, err);
    if (status)
        return status;
    strip_prefix(&s->raw);
    status = raw_complete(&s->raw, err);
    if (!status)
        status = refuse_foreign(&s->raw, err);
    return status
               ? status
               : naming_of(&s->raw, f->n_weights == 1 ? f->weights[0] : f->path, &s->naming, err);
}

static enum bise_status open_from(struct source *s, const struct folder *f, struct note *note,
                                  struct bise_error *err) {
    char *where = NULL, quant_method[64] = "";
    enum bise_status status = read_weights(s, f, err);
    const bool gguf = f->kind == FILE_GGUF;
    if (!status && gguf)
        status = read_gguf(s, f->weights[0], note, err);
    else if (!status)
        status = read_config(s, f, &where, quant_method, note, err);
    if (!status) {
        derive_sizes(s);
        status = config_check(&s->config, gguf ? f->weights[0] : where, err);
    }
    if (!status)
        status = bind_all(s, f, note, err);
    if (!status && quant_method[0])
        note_add(note, "%s says quantized by %s, but every weight is a float: read as they are",
                 where, quant_method);
    free(where);
    if (!status && gguf)
        note_gguf(s, f->weights[0], note);
    if (!status && !gguf)
        status = find_tokenizer(s, f, err);
    if (!status && !gguf)
        status = read_template(s, f, err);
    describe(s);
    return status;
}

enum bise_status source_open(struct source **out, const char *path, char *note, size_t note_cap,
                             struct bise_error *err) {
    struct note notes = {.text = note, .cap = note_cap};
    struct folder folder = {0};
    *out = NULL;
    note[0] = 0;
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    enum bise_status status =
        is_bise_file(path) ? BISE_OK : folder_open(&folder, path, &notes, err);
    const bool bise = is_bise_file(path) || (!status && folder.kind == FILE_BISE);
    if (!status)
        status = bise ? bise_file_open(s, path, &notes, err) : open_from(s, &folder, &notes, err);
    folder_close(&folder);
    if (status)
        source_close(&s);
    *out = s;
    return status;
}

void source_close(struct source **s) {
    if (!s || !*s)
        return;
    raw_close(&(*s)->raw);
    bise_model_close(&(*s)->model);
    free((*s)->tensors);
    free((*s)->raws);
    free((*s)->parts);
    gguf_close(&(*s)->gguf);
    free((*s)->tokenizer_path);
    free((*s)->tokenizer_bytes);
    free((*s)->chat_template);
    free(*s);
    *s = NULL;
}

const struct model_config *source_config(const struct source *s) {
    return &s->config;
}

const struct source_tensor *source_tensors(const struct source *s, size_t *n) {
    *n = s->n_tensors;
    return s->tensors;
}

const char *source_description(const struct source *s) {
    return s->description;
}

uint64_t source_identity(const struct source *s) {
    return s->identity;
}

uint64_t source_bytes(const struct source *s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n_tensors; i++)
        sum += s->tensors[i].bytes;
    return sum;
}

const char *source_tokenizer_path(const struct source *s) {
    return s->tokenizer_path;
}

const uint8_t *source_tokenizer_bytes(const struct source *s, size_t *len) {
    *len = s->tokenizer_len;
    return s->tokenizer_bytes;
}

static bool has_control(const struct tokenizer *t, const char *piece) {
    const int32_t id = tokenizer_find(t, piece, strlen(piece));
    return id >= 0 && tokenizer_kind(t, id) == PIECE_CONTROL;
}

enum chat_format source_guess_chat(const struct source *s, const struct tokenizer *tokenizer,
                                   const char **why) {
    *why = NULL;
    if (s->model)
        return s->config.chat;
    const bool control_inst = tokenizer && tokenizer_size(tokenizer) > 3 &&
                              tokenizer_kind(tokenizer, 3) == PIECE_CONTROL &&
                              strcmp(tokenizer_piece_raw(tokenizer, 3), "[INST]") == 0;
    if (s->chat_template) {
        const enum chat_format format =
            chat_from_template(s->chat_template, tokenizer != NULL, control_inst);
        if (format != CHAT_CHATML || !tokenizer ||
            (has_control(tokenizer, "<|im_start|>") && has_control(tokenizer, "<|im_end|>")))
            return format;
        *why = "its template is ChatML's, but no token is called <|im_start|> or <|im_end|>";
        return CHAT_UNKNOWN;
    }
    if (s->has_tokenizer_config)
        return CHAT_NONE;
    if (s->says_instruct)
        *why =
            "its name says that it follows instructions, but tokenizer_config.json, which has the "
            "template, is missing: put it beside the weights, or give --chat-format";
    return CHAT_UNKNOWN;
}
