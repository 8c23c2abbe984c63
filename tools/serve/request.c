#include "tools/serve/request.h"

#include "tools/common/sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool request_expected(struct fault *f, const char *name, const char *what,
                      const struct json_value *found) {
    return fault_set(f, 400, name, NULL, "%s: expected %s, found %s", name, what,
                     json_describe(found));
}

const struct json_value *request_get(const struct json_value *object, const char *key) {
    const struct json_value *v = json_get(object, key);
    return v && v->kind != JSON_NULL ? v : NULL;
}

/* ---- before anything is built: depth and number of values ---- */

static bool check_size(const char *body, size_t len, struct fault *f) {
    size_t depth = 0, n = 1;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        const char c = body[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
            continue;
        }
        quoted = c == '"';
        n += c == ',' || c == '[' || c == '{';
        if ((c == '[' || c == '{') && ++depth > REQUEST_MAX_DEPTH)
            return fault_set(f, 400, NULL, NULL, "the body: nested deeper than %d levels",
                             REQUEST_MAX_DEPTH);
        if ((c == ']' || c == '}') && depth)
            depth--;
    }
    if (n > REQUEST_MAX_VALUES)
        return fault_set(f, 400, NULL, NULL, "the body: more than %u values", REQUEST_MAX_VALUES);
    return true;
}

/* ---- values ---- */

static bool read_number(const struct json_value *root, const char *name, double min, double max,
                        double *out, struct fault *f) {
    const struct json_value *v = request_get(root, name);
    if (!v)
        return true;
    if (v->kind != JSON_NUMBER)
        return request_expected(f, name, "a number", v);
    if (!(v->number >= min && v->number <= max))
        return fault_set(f, 400, name, NULL, "%s: expected a number from %g to %g, found %s", name,
                         min, max, v->digits);
    *out = v->number;
    return true;
}

static bool read_float(const struct json_value *root, const char *name, double min, double max,
                       float *out, struct fault *f) {
    double value = (double)*out;
    const bool good = read_number(root, name, min, max, &value, f);
    *out = (float)value;
    return good;
}

static bool read_int(const struct json_value *root, const char *name, int64_t min, int64_t max,
                     int64_t *out, struct fault *f) {
    const struct json_value *v = request_get(root, name);
    if (!v)
        return true;
    if (v->kind != JSON_NUMBER || !v->is_integer)
        return request_expected(f, name, "an integer", v);
    if (v->integer < min || v->integer > max)
        return fault_set(f, 400, name, NULL,
                         "%s: expected an integer from %lld to %lld, found %lld", name,
                         (long long)min, (long long)max, (long long)v->integer);
    *out = v->integer;
    return true;
}

static bool read_bool(const struct json_value *root, const char *name, bool *out, struct fault *f) {
    const struct json_value *v = request_get(root, name);
    if (!v)
        return true;
    if (v->kind != JSON_BOOL)
        return request_expected(f, name, "true or false", v);
    *out = v->boolean;
    return true;
}

/* ---- fields ---- */

static bool read_seed(struct request *r, const struct json_value *root, struct fault *f) {
    static const char *const names[] = {"seed", "random_seed"};
    for (size_t i = 0; i < 2; i++) {
        const struct json_value *v = request_get(root, names[i]);
        if (!v)
            continue;
        if (v->kind != JSON_NUMBER || !v->is_integer)
            return request_expected(f, names[i], "an integer of 64 bits", v);
        r->sampling.seed = (uint64_t)v->integer;
        r->has_seed = true;
    }
    return true;
}

static bool read_bias(struct request *r, const struct json_value *root, uint32_t vocab,
                      struct fault *f) {
    const struct json_value *v = request_get(root, "logit_bias");
    if (!v)
        return true;
    if (v->kind != JSON_OBJECT)
        return request_expected(f, "logit_bias", "an object of ids and numbers", v);
    if (v->len > REQUEST_MAX_BIAS)
        return fault_set(f, 400, "logit_bias", NULL, "logit_bias: expected at most %d, found %zu",
                         REQUEST_MAX_BIAS, v->len);
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m)) {
        char *end;
        const long id = strtol(m->key, &end, 10);
        if (!m->key_len || end != m->key + m->key_len || id < 0 || id >= (long)vocab)
            return fault_set(f, 400, "logit_bias", NULL,
                             "logit_bias: expected ids from 0 to %u as keys, found another",
                             vocab - 1);
        if (m->kind != JSON_NUMBER || !(fabs(m->number) <= 100))
            return fault_set(f, 400, "logit_bias", NULL,
                             "logit_bias: expected numbers from -100 to 100");
        const float bias = (float)m->number;
        r->bias[r->sampling.n_bias++] =
            (struct bise_logit_bias){(int32_t)id, bias <= -100 ? -INFINITY : bias};
    }
    r->sampling.bias = r->bias;
    return true;
}

static bool read_sampling(struct request *r, const struct json_value *root, uint32_t vocab,
                          struct fault *f) {
    const struct sampling_options d = SAMPLING_DEFAULTS;
    struct bise_sampler_params *s = &r->sampling;
    int64_t top_k = d.top_k, repeat_last = d.repeat_last;
    *s = (struct bise_sampler_params){
        .temp = (float)d.temp,
        .top_p = (float)d.top_p,
        .min_p = (float)d.min_p,
        .repeat_penalty = 1,
        .typical_p = 1,
    };
    if (!read_float(root, "temperature", 0, 100, &s->temp, f) ||
        !read_float(root, "top_p", 0, 1, &s->top_p, f) ||
        !read_float(root, "min_p", 0, 1, &s->min_p, f) ||
        !read_float(root, "typical_p", 0, 1, &s->typical_p, f) ||
        !read_float(root, "repeat_penalty", 0.01, 100, &s->repeat_penalty, f) ||
        !read_float(root, "frequency_penalty", -2, 2, &s->frequency_penalty, f) ||
        !read_float(root, "presence_penalty", -2, 2, &s->presence_penalty, f) ||
        !read_int(root, "top_k", 0, INT32_MAX, &top_k, f) ||
        !read_int(root, "repeat_last_n", 0, 1 << 20, &repeat_last, f))
        return false;
    s->top_k = (uint32_t)top_k;
    s->repeat_last = (uint32_t)repeat_last;
    return read_seed(r, root, f) && read_bias(r, root, vocab, f);
}

static bool add_stop(struct request *r, const struct json_value *v, struct fault *f) {
    if (v->kind != JSON_STRING)
        return request_expected(f, "stop", "a string or a list of strings", v);
    if (!v->len || v->len > STOP_MAX_BYTES || strlen(v->string) != v->len)
        return fault_set(f, 400, "stop", NULL, "stop: expected texts of 1 to %d bytes without NUL",
                         STOP_MAX_BYTES);
    if (r->n_stops == STOP_MAX_TEXTS)
        return fault_set(f, 400, "stop", NULL, "stop: expected at most %d texts", STOP_MAX_TEXTS);
    r->stops[r->n_stops++] = v->string;
    return true;
}

static bool read_stops(struct request *r, const struct json_value *root, struct fault *f) {
    const struct json_value *v = request_get(root, "stop");
    if (!v)
        return true;
    if (v->kind != JSON_ARRAY)
        return add_stop(r, v, f);
    for (const struct json_value *s = json_first(v); s; s = json_next(v, s))
        if (!add_stop(r, s, f))
            return false;
    return true;
}

static bool read_format(struct request *r, const struct json_value *root, struct fault *f) {
    const struct json_value *v = request_get(root, "response_format"),
                            *grammar = request_get(root, "grammar");
    if (grammar && (grammar->kind != JSON_STRING || grammar->len > REQUEST_MAX_SOURCE))
        return request_expected(f, "grammar", "a text in GBNF of at most 64 KB", grammar);
    if (grammar) {
        r->format = REPLY_GRAMMAR;
        r->grammar = grammar;
    }
    if (!v)
        return true;
    const struct json_value *type = json_get(v, "type");
    if (json_is(type, "text"))
        return true;
    if (grammar)
        return fault_set(f, 400, "grammar", NULL,
                         "grammar: expected no response_format beside it, found one");
    r->schema = request_get(v, "schema");
    if (json_is(type, "json_schema")) {
        const struct json_value *outer = request_get(v, "json_schema");
        r->schema = outer ? request_get(outer, "schema") : r->schema;
        if (!r->schema)
            return request_expected(f, "response_format.json_schema.schema", "a JSON Schema", NULL);
    } else if (!json_is(type, "json_object")) {
        return fault_set(f, 400, "response_format.type", NULL,
                         "response_format.type: expected text, json_object or json_schema, found "
                         "%s",
                         type && type->kind == JSON_STRING ? "another" : json_describe(type));
    }
    r->format = r->schema ? REPLY_SCHEMA : REPLY_OBJECT;
    return true;
}

static bool read_overflow(struct request *r, const struct json_value *root,
                          const struct request_facts *facts, struct fault *f) {
    const struct json_value *v = request_get(root, "overflow");
    r->full = facts->full;
    if (!v)
        return true;
    if (json_is(v, "stop")) {
        r->full = FULL_STOP;
    } else if (json_is(v, "drop")) {
        r->full = FULL_DROP;
    } else if (json_is(v, "sink")) {
        if (!facts->can_sink)
            return fault_set(f, 400, "overflow", NULL,
                             "overflow: \"sink\" needs a server started with --overflow sink");
        r->full = FULL_SINK;
    } else {
        return fault_set(f, 400, "overflow", NULL,
                         "overflow: expected stop, drop or sink, found %s",
                         v->kind == JSON_STRING ? "another" : json_describe(v));
    }
    return true;
}

static bool read_logprobs(struct request *r, const struct json_value *root, struct fault *f) {
    int64_t top = 0;
    if (r->endpoint == ENDPOINT_COMPLETIONS) {
        r->logprobs = request_get(root, "logprobs") != NULL;
        if (!read_int(root, "logprobs", 0, REQUEST_MAX_TOP, &top, f))
            return false;
    } else {
        if (!read_bool(root, "logprobs", &r->logprobs, f) ||
            !read_int(root, "top_logprobs", 0, REQUEST_MAX_TOP, &top, f))
            return false;
        if (top && !r->logprobs)
            return fault_set(f, 400, "top_logprobs", NULL,
                             "top_logprobs: expected \"logprobs\": true beside it, found none");
    }
    r->top_logprobs = (uint32_t)top;
    return true;
}

/* Fields of chat and completions. */
static bool read_common(struct request *r, const struct json_value *root,
                        const struct request_facts *facts, struct fault *f) {
    const struct json_value *options = request_get(root, "stream_options");
    const int64_t least = r->endpoint == ENDPOINT_COMPLETIONS ? 0 : 1;
    int64_t n = 1;
    r->max_tokens = r->endpoint == ENDPOINT_COMPLETIONS ? 16 : -1;
    if (!read_sampling(r, root, facts->vocab_size, f) ||
        !read_int(root, "max_tokens", least, INT32_MAX, &r->max_tokens, f) ||
        !read_int(root, "max_completion_tokens", least, INT32_MAX, &r->max_tokens, f) ||
        !read_int(root, "n", 1, REQUEST_MAX_CHOICES, &n, f) ||
        !read_bool(root, "cache_prompt", &r->use_cache, f) ||
        !read_bool(root, "stream", &r->stream, f) || !read_stops(r, root, f) ||
        !read_format(r, root, f) || !read_overflow(r, root, facts, f) || !read_logprobs(r, root, f))
        return false;
    r->n = (uint32_t)n;
    if (options && options->kind != JSON_OBJECT)
        return request_expected(f, "stream_options", "an object", options);
    return !options || read_bool(options, "include_usage", &r->include_usage, f);
}

/* ---- what the endpoints read besides ---- */

static bool read_ids(struct request *r, const struct json_value *list, const char *name,
                     uint32_t vocab, struct fault *f) {
    r->ids = malloc((list->len + 1) * sizeof *r->ids);
    if (!r->ids)
        return fault_set(f, 503, NULL, NULL, "no memory for the request");
    for (const struct json_value *v = json_first(list); v; v = json_next(list, v)) {
        if (v->kind != JSON_NUMBER || !v->is_integer || v->integer < 0 || v->integer >= vocab)
            return fault_set(f, 400, name, NULL, "%s: expected ids from 0 to %u, found another",
                             name, vocab - 1);
        r->ids[r->n_ids++] = (int32_t)v->integer;
    }
    return true;
}

static bool read_text(struct request *r, const struct json_value *v, const char *name,
                      struct fault *f) {
    if (!v || v->kind != JSON_STRING)
        return request_expected(f, name, "a string", v);
    tool_text_put(&r->text, v->string, v->len);
    return !r->text.failed || fault_set(f, 503, NULL, NULL, "no memory for the request");
}

/* A text, a list with one text, or ids. */
static bool read_prompt(struct request *r, const struct json_value *root, uint32_t vocab,
                        struct fault *f) {
    const struct json_value *v = request_get(root, "prompt"), *first = json_first(v);
    if (request_get(root, "suffix"))
        return fault_set(f, 400, "suffix", NULL,
                         "suffix: this model cannot fill in, expected no suffix");
    if (v && v->kind == JSON_ARRAY && v->len == 1 && first->kind != JSON_NUMBER)
        v = first;
    else if (v && v->kind == JSON_ARRAY && v->len > 1 && first->kind != JSON_NUMBER)
        return fault_set(f, 400, "prompt", NULL, "prompt: expected one prompt a request, found %zu",
                         v->len);
    return v && v->kind == JSON_ARRAY ? read_ids(r, v, "prompt", vocab, f)
                                      : read_text(r, v, "prompt", f);
}

static bool read_chat(struct request *r, const struct json_value *root, struct fault *f) {
    bool guard = false;
    return read_bool(root, "safe_prompt", &guard, f) && request_read_tools(r, root, f) &&
           request_read_messages(r, request_get(root, "messages"), guard, f);
}

static bool read_inputs(struct request *r, const struct json_value *root, struct fault *f) {
    const struct json_value *v = request_get(root, "input");
    if (v && v->kind == JSON_ARRAY) {
        if (v->len != 1)
            return fault_set(f, 400, "input", NULL, "input: expected one text a request, found %zu",
                             v->len);
        v = json_first(v);
    }
    return read_text(r, v, "input", f);
}

static bool read_endpoint(struct request *r, const struct json_value *root,
                          const struct request_facts *facts, struct fault *f) {
    const struct json_value *tokens;
    switch (r->endpoint) {
    case ENDPOINT_CHAT:
        return read_common(r, root, facts, f) && read_chat(r, root, f);
    case ENDPOINT_COMPLETIONS:
        return read_common(r, root, facts, f) && read_bool(root, "echo", &r->echo, f) &&
               read_prompt(r, root, facts->vocab_size, f);
    case ENDPOINT_TOKENIZE:
        return read_bool(root, "add_special", &r->add_special, f) &&
               read_text(r, request_get(root, "content"), "content", f) &&
               (r->text.len <= REQUEST_MAX_TEXT ||
                fault_set(f, 413, "content", NULL,
                          "content: expected at most 2 MB, found %zu bytes", r->text.len));
    case ENDPOINT_DETOKENIZE:
        tokens = request_get(root, "tokens");
        if (!tokens || tokens->kind != JSON_ARRAY)
            return request_expected(f, "tokens", "a list of ids", tokens);
        return read_ids(r, tokens, "tokens", facts->vocab_size, f);
    default:
        return read_inputs(r, root, f);
    }
}

/* ---- fields that are not known ---- */

/* Known to other servers; they would change the answer. */
static const char *const refused[] = {
    "functions",   "function_call", "best_of",        "audio",           "web_search_options",
    "mirostat",    "tfs_z",         "dry_multiplier", "xtc_probability", "dynatemp_range",
    "guided_json", "guided_regex",  "guided_choice",  "guided_grammar",  "json_schema",
    "prompt_mode", "input_prefix",  "input_suffix",   "samplers",
};

static const char *const known[] = {
    /* read by this file and its two companions */
    "model", "messages", "temperature", "top_p", "min_p", "typical_p", "top_k", "repeat_penalty",
    "repeat_last_n", "frequency_penalty", "presence_penalty", "logit_bias", "seed", "random_seed",
    "stop", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options", "logprobs",
    "top_logprobs", "response_format", "grammar", "overflow", "tools", "tool_choice",
    "parallel_tool_calls", "safe_prompt", "prompt", "echo", "suffix", "content", "tokens",
    "add_special", "input",
    /* say nothing about the answer */
    "user", "store", "metadata", "service_tier", "modalities", "prediction", "safety_identifier",
    "prompt_cache_key", "cache_prompt", "return_progress", "timings_per_token"};

static bool is_among(const char *const *names, size_t n, const struct json_value *m) {
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == m->key_len && memcmp(names[i], m->key, m->key_len) == 0)
            return true;
    return false;
}

static bool check_fields(struct request *r, const struct json_value *root, struct fault *f) {
    for (const struct json_value *m = json_first(root); m; m = json_next(root, m)) {
        if (m->kind == JSON_NULL || is_among(known, sizeof known / sizeof known[0], m))
            continue;
        if (is_among(refused, sizeof refused / sizeof refused[0], m))
            return fault_set(f, 400, m->key, "unsupported_parameter",
                             "%s: not supported, and it would change the answer", m->key);
        if (r->n_unknown < REQUEST_MAX_UNKNOWN)
            snprintf(r->unknown[r->n_unknown++], sizeof r->unknown[0], "%s", m->key);
    }
    return true;
}

bool request_read(struct request *r, enum endpoint endpoint, const char *body, size_t len,
                  const struct request_facts *facts, struct fault *f) {
    struct bise_error err = {0};
    *r = (struct request){.endpoint = endpoint, .parallel_calls = true, .n = 1, .use_cache = true};
    if (!check_size(body, len, f))
        return false;
    const enum bise_status status = json_parse(&r->json, body, len, "the body", &err);
    if (status)
        return fault_of_status(f, NULL, status, &err);
    const struct json_value *root = json_root(r->json);
    if (root->kind != JSON_OBJECT)
        return fault_set(f, 400, NULL, NULL, "the body: expected an object, found %s",
                         json_describe(root));
    return check_fields(r, root, f) && read_endpoint(r, root, facts, f);
}

void request_free(struct request *r) {
    for (size_t i = 0; i < r->n_parts; i++)
        free((char *)r->parts[i].text);
    free(r->parts);
    free(r->system.text);
    free(r->text.text);
    free(r->ids);
    json_close(&r->json);
    *r = (struct request){.n = 0};
}
