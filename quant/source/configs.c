#include "quant/source/configs.h"

#include "quant/source/note.h"
#include "src/base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- fields of a file ---- */

/* Typed access to them, with messages that name file and field. The first fault is kept in err;
 * later calls do nothing, so that a reader checks once at its end. */
struct fields {
    const struct json_value *object;
    const char *where; /* path of the file, for messages */
    struct note *note; /* may be NULL */
    struct bise_error *err;
    enum bise_status status;
};

__attribute__((format(printf, 3, 4))) static void
field_fail(struct fields *f, enum bise_status status, const char *fmt, ...) {
    char what[256];
    va_list args;
    if (f->status)
        return;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    f->status = bise_fail(f->err, status, "%s: %s", f->where, what);
}

/* The field; NULL if it is absent or null. */
static const struct json_value *field(const struct fields *f, const char *key) {
    const struct json_value *v = json_get(f->object, key);
    return v && v->kind != JSON_NULL ? v : NULL;
}

/* What was found, where a message can say more than its kind. */
static const char *found(const struct json_value *v, char buf[48]) {
    if (v && v->kind == JSON_NUMBER)
        snprintf(buf, 48, "%.17g", v->number);
    else if (v && v->kind == JSON_STRING)
        snprintf(buf, 48, "\"%.32s\"", v->string);
    else
        return json_describe(v);
    return buf;
}

static uint32_t u32_of(struct fields *f, const char *key, const struct json_value *v) {
    char buf[48];
    if (v && v->kind == JSON_NUMBER && v->number >= 0 && v->number <= UINT32_MAX &&
        v->number == (double)(uint32_t)v->number)
        return (uint32_t)v->number;
    field_fail(f, BISE_ERR_FORMAT, "%s: expected a whole number, found %s", key, found(v, buf));
    return 0;
}

/* Whole numbers in 0..2^32-1. */
static uint32_t field_u32(struct fields *f, const char *key) {
    return u32_of(f, key, field(f, key));
}

static uint32_t field_u32_or(struct fields *f, const char *key, uint32_t absent) {
    const struct json_value *v = field(f, key);
    return v ? u32_of(f, key, v) : absent;
}

static double field_number(struct fields *f, const char *key) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (v && v->kind == JSON_NUMBER)
        return v->number;
    field_fail(f, BISE_ERR_FORMAT, "%s: expected a number, found %s", key, found(v, buf));
    return 0;
}

static double field_number_or(struct fields *f, const char *key, double absent) {
    return field(f, key) ? field_number(f, key) : absent;
}

static bool field_bool_or(struct fields *f, const char *key, bool absent) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (!v)
        return absent;
    if (v->kind != JSON_BOOL)
        field_fail(f, BISE_ERR_FORMAT, "%s: expected true or false, found %s", key, found(v, buf));
    return v->boolean;
}

/* One id or a list of ids into ids [cap]; returns how many. Absent: 0. Ids that are negative or not
 * below vocab can never occur: they are left out with a warning. */
static uint32_t field_ids(struct fields *f, const char *key, uint32_t vocab, int32_t *ids,
                          uint32_t cap) {
    const struct json_value *v = field(f, key);
    uint32_t n = 0;
    if (!v)
        return 0;
    const bool list = v->kind == JSON_ARRAY;
    for (const struct json_value *id = list ? json_first(v) : v; id && !f->status;
         id = list ? json_next(v, id) : NULL) {
        char buf[48];
        if (id->kind != JSON_NUMBER || !id->is_integer)
            field_fail(f, BISE_ERR_FORMAT, "%s: expected a token id, found %s", key,
                       found(id, buf));
        else if (id->integer < 0 || id->integer >= (int64_t)vocab)
            note_add(f->note,
                     "warning: %s: %s: %lld is no id below the vocabulary's %u: it is left out",
                     f->where, key, (long long)id->integer, vocab);
        else if (n == cap)
            field_fail(f, BISE_ERR_UNSUPPORTED, "%s: expected at most %u ids, found %zu", key, cap,
                       v->len);
        else
            ids[n++] = (int32_t)id->integer;
    }
    return n;
}

/* What this program does not run: fails, naming the field, if it is there and not null, false, 0 or
 * empty. */
static void field_refuse(struct fields *f, const char *key) {
    const struct json_value *v = field(f, key);
    char buf[48];
    if (!v || (v->kind == JSON_BOOL && !v->boolean) || (v->kind == JSON_NUMBER && v->number == 0) ||
        (v->kind != JSON_BOOL && v->kind != JSON_NUMBER && v->len == 0))
        return;
    field_fail(f, BISE_ERR_UNSUPPORTED,
               "%s is not supported: expected it to be absent or null, found %s", key,
               found(v, buf));
}

/* ---- what is read of them ---- */

#define DEFAULT_THETA 1e4

static const char *const family[] = {"MistralForCausalLM", "MixtralForCausalLM",
                                     "LlamaForCausalLM"};
static const char *const family_types[] = {"mistral", "mixtral", "llama"};

static bool is_one_of(const struct json_value *v, const char *const *names) {
    return json_is(v, names[0]) || json_is(v, names[1]) || json_is(v, names[2]);
}

/* By "architectures", or "model_type" where that is missing. */
static void check_family(struct fields *f) {
    const struct json_value *list = field(f, "architectures"), *type = field(f, "model_type");
    const struct json_value *first = json_first(list);
    if (first && !is_one_of(first, family))
        field_fail(f, BISE_ERR_UNSUPPORTED, "architectures: expected %s, %s or %s, found %.64s",
                   family[0], family[1], family[2],
                   first->kind == JSON_STRING ? first->string : json_describe(first));
    else if (!first && !is_one_of(type, family_types))
        field_fail(f, BISE_ERR_UNSUPPORTED, "model_type: expected %s, %s or %s, found %.64s",
                   family_types[0], family_types[1], family_types[2],
                   type && type->kind == JSON_STRING ? type->string : json_describe(type));
}

/* "rope_scaling": {"rope_type": "default"} means none. */
static void check_rope(struct fields *f, const char *key) {
    const struct json_value *v = field(f, key), *type = json_get(v, "rope_type");
    if (!type)
        type = json_get(v, "type");
    if (v && !(type ? json_is(type, "default") : json_get(v, "rope_theta") != NULL))
        field_fail(f, BISE_ERR_UNSUPPORTED, "%s is not supported, found type %.32s", key,
                   type && type->kind == JSON_STRING ? type->string : json_describe(type));
}

static void check_layer_types(struct fields *f) {
    const struct json_value *list = field(f, "layer_types"), *first = json_first(list);
    for (const struct json_value *v = first; v; v = json_next(list, v))
        if (v->kind != JSON_STRING || !json_is(first, v->string))
            field_fail(f, BISE_ERR_UNSUPPORTED,
                       "layer_types: expected the same type for every layer");
}

/* Null, a number, or a number in quotes; 0 stands for none. */
static uint32_t read_window(struct fields *f) {
    static const char key[] = "sliding_window";
    const struct json_value *v = field(f, key);
    uint32_t window = 0;
    if (!v || v->kind != JSON_STRING)
        return field_u32_or(f, key, 0);
    for (const char *p = v->string; *p || v->len == 0; p++) {
        if (*p < '0' || *p > '9' || window > 100000000) {
            field_fail(f, BISE_ERR_FORMAT, "%s: expected null or a number, found \"%.32s\"", key,
                       v->string);
            return 0;
        }
        window = window * 10 + (uint32_t)(*p - '0');
    }
    return window;
}

static uint32_t read_head_dim(struct fields *f, uint32_t dim, uint32_t n_heads, const char *key) {
    if (field(f, "head_dim"))
        return field_u32(f, "head_dim");
    if (n_heads == 0 || dim % n_heads != 0) {
        field_fail(f, BISE_ERR_FORMAT,
                   "%s: expected a multiple of the number of heads %u, found %u", key, n_heads,
                   dim);
        return 0;
    }
    return dim / n_heads;
}

/* Absent: 1. Null, or an id that cannot occur: none. */
static int32_t read_bos(struct fields *f, uint32_t vocab) {
    int32_t id = -1;
    if (!json_get(f->object, "bos_token_id"))
        return vocab > 1 ? 1 : -1;
    field_ids(f, "bos_token_id", vocab, &id, 1);
    return id;
}

/* Of generation_config.json (NULL: none), else of the config itself; 2 where neither says. */
static void read_eos(struct fields *f, struct fields *generation, struct model_config *c) {
    const uint32_t vocab = c->vocab_size;
    c->n_eos = field_ids(generation, "eos_token_id", vocab, c->eos_ids, MAX_EOS);
    if (c->n_eos == 0)
        c->n_eos = field_ids(f, "eos_token_id", vocab, c->eos_ids, MAX_EOS);
    if (c->n_eos == 0 && !json_get(f->object, "eos_token_id") && vocab > 2)
        c->eos_ids[c->n_eos++] = 2;
}

/* The fields of a model that takes more than text are those of its text_config. */
static void enter_text_config(struct fields *f) {
    const struct json_value *text = field(f, "text_config");
    if (!text || text->kind != JSON_OBJECT || field(f, "hidden_size"))
        return;
    f->object = text;
    note_add(f->note, "%s: text_config is read; what else the model takes than text is left out",
             f->where);
}

static void read_shape(struct fields *f, struct model_config *c) {
    c->dim = field_u32(f, "hidden_size");
    c->n_layers = field_u32(f, "num_hidden_layers");
    c->n_heads = field_u32(f, "num_attention_heads");
    c->n_kv_heads = field_u32_or(f, "num_key_value_heads", 0);
    c->head_dim = read_head_dim(f, c->dim, c->n_heads, "hidden_size");
    c->ffn_dim = field_u32(f, "intermediate_size");
    c->vocab_size = field_u32(f, "vocab_size");
    c->norm_eps = (float)field_number(f, "rms_norm_eps");
    c->window = read_window(f);
    c->max_context = field_u32_or(f, "max_position_embeddings", 0);
    c->tied_head = field_bool_or(f, "tie_word_embeddings", false);
    const struct json_value *type = json_first(field(f, "architectures"));
    if (json_is(type ? type : field(f, "model_type"), type ? family[1] : family_types[1])) {
        c->n_experts = field_u32(f, "num_local_experts");
        c->n_experts_used = field_u32(f, "num_experts_per_tok");
    }
}

enum bise_status config_from_hf(const struct json_value *root, const struct json_value *generation,
                                const struct config_place *place, struct model_config *c,
                                struct bise_error *err) {
    static const char *const refused[] = {"attention_bias", "mlp_bias", "vision_config"};
    struct fields f = {.object = root, .where = place->config, .note = place->note, .err = err};
    struct fields g = {
        .object = generation, .where = place->generation, .note = place->note, .err = err};
    if (root->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected an object, found %s", f.where,
                         json_describe(root));
    *c = (struct model_config){0};
    enter_text_config(&f);
    check_family(&f);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        field_refuse(&f, refused[i]);
    check_rope(&f, "rope_scaling");
    check_rope(&f, "rope_parameters");
    check_layer_types(&f);
    const struct json_value *act = field(&f, "hidden_act");
    if (act && !json_is(act, "silu"))
        field_fail(&f, BISE_ERR_UNSUPPORTED, "hidden_act: expected silu, found %.32s",
                   act->kind == JSON_STRING ? act->string : json_describe(act));
    read_shape(&f, c);
    /* transformers 5 writes rope_parameters, and reads them first. */
    struct fields rope = f;
    rope.object = field(&f, "rope_parameters");
    c->rope_theta = field_number_or(&f, "rope_theta", DEFAULT_THETA);
    c->rope_theta = field_number_or(&rope, "rope_theta", c->rope_theta);
    c->bos_id = f.status ? -1 : read_bos(&f, c->vocab_size);
    if (!f.status)
        read_eos(&f, &g, c);
    return f.status ? f.status : g.status ? g.status : rope.status;
}

const char *config_quant_method(const struct json_value *root) {
    const struct json_value *v = json_get(root, "quantization_config");
    const struct json_value *method = json_get(v, "quant_method");
    if (!v || v->kind == JSON_NULL)
        v = json_get(root, "quantization"); /* MLX's */
    if (!v || v->kind == JSON_NULL)
        return NULL;
    return method && method->kind == JSON_STRING ? method->string : "some method";
}

enum bise_status config_from_params(const struct json_value *root, const struct config_place *place,
                                    struct model_config *c, struct bise_error *err) {
    static const char *const refused[] = {"vision_encoder",  "quantization", "rope_scaling", "yarn",
                                          "llama_4_scaling", "use_biases",   "causal_only"};
    struct fields f = {.object = root, .where = place->config, .note = place->note, .err = err};
    if (root->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected an object, found %s", f.where,
                         json_describe(root));
    *c = (struct model_config){.bos_id = 1, .n_eos = 1, .eos_ids = {2}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        field_refuse(&f, refused[i]);
    c->dim = field_u32(&f, "dim");
    c->n_layers = field_u32(&f, "n_layers");
    c->n_heads = field_u32(&f, "n_heads");
    c->n_kv_heads = field_u32_or(&f, "n_kv_heads", c->n_heads);
    c->head_dim = read_head_dim(&f, c->dim, c->n_heads, "dim");
    /* Llama 2's has multiple_of and ffn_dim_multiplier instead, and -1 as its vocabulary. */
    c->ffn_dim = field_u32_or(&f, "hidden_dim", 0);
    const struct json_value *vocab = field(&f, "vocab_size");
    if (vocab && !(vocab->kind == JSON_NUMBER && vocab->number == -1))
        c->vocab_size = field_u32(&f, "vocab_size");
    c->norm_eps = (float)field_number(&f, "norm_eps");
    c->window = read_window(&f);
    c->max_context = field_u32_or(&f, "max_position_embeddings", 0);
    c->tied_head = field_bool_or(&f, "tied_embeddings", false);
    struct fields moe = f;
    moe.object = field(&f, "moe");
    if (moe.object) {
        c->n_experts = field_u32(&moe, "num_experts");
        c->n_experts_used = field_u32(&moe, "num_experts_per_tok");
    }
    /* Mixtral's file lacks it, as those of v0.1 and Llama 2 do. */
    c->rope_theta = field_number_or(&f, "rope_theta", moe.object ? 1e6 : DEFAULT_THETA);
    return f.status ? f.status : moe.status;
}

enum chat_format chat_from_template(const char *t, bool have_tokenizer, bool has_control_inst) {
    /* Mistral's V7 has a [SYSTEM_PROMPT], phi's ends messages by <|im_sep|> or <|end|>. */
    if (strstr(t, "[SYSTEM_PROMPT]") || strstr(t, "<|im_sep|>"))
        return CHAT_UNKNOWN;
    if (strstr(t, "<|im_start|>") && strstr(t, "<|im_end|>"))
        return CHAT_CHATML;
    if (strstr(t, "<|user|>") && strstr(t, "<|assistant|>"))
        return strstr(t, "eos_token") && !strstr(t, "<|end|>") ? CHAT_ZEPHYR : CHAT_UNKNOWN;
    if (!strstr(t, "[INST]") || !strstr(t, "[/INST]"))
        return CHAT_UNKNOWN;
    if (strstr(t, "<<SYS>>"))
        return CHAT_LLAMA2;
    if (!have_tokenizer)
        return CHAT_UNKNOWN;
    return has_control_inst ? CHAT_V3 : CHAT_V1;
}
