#include "tools/cmd/synth.h"

#include "kernels/float_formats.h"
#include "kernels/layout.h"
#include "src/base/error.h"
#include "src/model/shape.h"
#include "src/os/cpu.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- random weights that look like trained ones ---- */

/* Student's t with 6 degrees of freedom, as ../shared/ref's random checkpoints: a normal variate
 * over the root of a chi-squared one, scaled to unit variance. */
void synth_init_table(struct synth *s) {
    struct random_state r;
    double sum = 0;
    random_seed(&r, s->seed);
    for (unsigned i = 0; i < SYNTH_TABLE; i++) {
        double product = 1;
        for (int j = 0; j < 3; j++)
            product *= 1 - random_unit(&r);
        const double radius = sqrt(-2 * log(1 - random_unit(&r)));
        const double normal = radius * cos(6.283185307179586 * random_unit(&r));
        const double x = fabs(normal) / sqrt(-2 * log(product) / 6);
        s->normal[i] = (float)x;
        sum += x * x;
    }
    const double factor = sqrt(SYNTH_TABLE / sum);
    for (unsigned i = 0; i < SYNTH_TABLE; i++)
        s->normal[i] = (float)(s->normal[i] * factor);
}

/* One value from 16 random bits: 12 choose the magnitude, one the sign. */
static inline float pick(const float *table, uint16_t bits) {
    const float x = table[bits & (SYNTH_TABLE - 1)];
    return bits & SYNTH_TABLE ? -x : x;
}

void synth_floats(float *out, size_t n, const float *table, float mean, float std,
                  struct random_state *r) {
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits = i % 4 == 0 ? random_u64(r) : bits >> 16;
        out[i] = mean + std * pick(table, (uint16_t)bits);
    }
}

void synth_bf16(uint16_t *out, size_t n, const float *table, float mean, float std,
                struct random_state *r) {
    uint16_t values[2 * SYNTH_TABLE]; /* by all 13 bits */
    for (unsigned i = 0; i < 2 * SYNTH_TABLE; i++)
        values[i] = f32_to_bf16(mean + std * pick(table, (uint16_t)i));
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits = i % 4 == 0 ? random_u64(r) : bits >> 16;
        out[i] = values[bits & (2 * SYNTH_TABLE - 1)];
    }
}

struct random_state synth_stream(const struct synth *s, size_t tensor, size_t piece) {
    struct random_state r;
    uint64_t key = s->seed;
    key = random_splitmix(&key) ^ tensor;
    key = random_splitmix(&key) ^ piece;
    random_seed(&r, key);
    return r;
}

float synth_std(const char *name, uint32_t cols) {
    return strcmp(name, "tok_embeddings") == 0 ? 1.0f : 1.0f / sqrtf((float)cols);
}

/* ---- shapes ---- */

struct preset {
    const char *name;
    struct model_config config;
};

#define MISTRAL_SHAPE                                                                              \
    .dim = 4096, .ffn_dim = 14336, .n_layers = 32, .n_heads = 32, .n_kv_heads = 8,                 \
    .head_dim = 128, .max_context = 32768

static const struct preset presets[] = {
    {"mistral-7b", {MISTRAL_SHAPE, .vocab_size = 32000, .window = 4096, .rope_theta = 1e4}},
    {"mistral-7b-v0.2", {MISTRAL_SHAPE, .vocab_size = 32000, .rope_theta = 1e6}},
    {"mistral-7b-v0.3", {MISTRAL_SHAPE, .vocab_size = 32768, .rope_theta = 1e6}},
    {"mixtral-8x7b",
     {MISTRAL_SHAPE, .vocab_size = 32000, .rope_theta = 1e6, .n_experts = 8, .n_experts_used = 2}},
    {"llama-2-13b",
     {.dim = 5120,
      .ffn_dim = 13824,
      .n_layers = 40,
      .n_heads = 40,
      .n_kv_heads = 40,
      .head_dim = 128,
      .max_context = 4096,
      .vocab_size = 32000,
      .rope_theta = 1e4}},
};

static bool find_preset(struct model_config *c, const char *name) {
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, name) == 0) {
            *c = presets[i].config;
            return true;
        }
    return false;
}

/* One KEY=VALUE into *c. */
static enum bise_status set_key(struct model_config *c, const char *key, const char *value,
                                struct bise_error *err) {
    const struct {
        const char *key;
        uint32_t *out;
    } keys[] = {
        {"dim", &c->dim},           {"ffn", &c->ffn_dim},
        {"layers", &c->n_layers},   {"heads", &c->n_heads},
        {"kv", &c->n_kv_heads},     {"head_dim", &c->head_dim},
        {"vocab", &c->vocab_size},  {"window", &c->window},
        {"experts", &c->n_experts}, {"top", &c->n_experts_used},
        {"ctx", &c->max_context},
    };
    char *end = NULL;
    if (strcmp(key, "theta") == 0) {
        c->rope_theta = strtod(value, &end);
        if (end != value && !*end)
            return BISE_OK;
        return bise_fail(err, BISE_ERR_ARG, "--shape: theta: expected a number, found \"%s\"",
                         value);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].key, key) != 0)
            continue;
        const unsigned long long n = strtoull(value, &end, 10);
        if (end == value || *end || value[0] == '-' || n > UINT32_MAX)
            return bise_fail(err, BISE_ERR_ARG,
                             "--shape: %s: expected a whole number, found \"%s\"", key, value);
        *keys[i].out = (uint32_t)n;
        return BISE_OK;
    }
    return bise_fail(err, BISE_ERR_ARG,
                     "--shape: unknown key \"%s\" (known: dim ffn layers heads kv head_dim vocab "
                     "window experts top theta ctx)",
                     key);
}

/* What a shape leaves open. */
static void fill_defaults(struct model_config *c) {
    c->norm_eps = 1e-5f;
    c->bos_id = 1;
    c->n_eos = 1;
    c->eos_ids[0] = 2;
    c->chat = CHAT_NONE;
    if (!c->vocab_size)
        c->vocab_size = 32000;
    if (!c->n_kv_heads)
        c->n_kv_heads = c->n_heads;
    if (!c->head_dim && c->n_heads)
        c->head_dim = c->dim / c->n_heads;
    if (c->rope_theta == 0)
        c->rope_theta = 1e4;
    if (c->n_experts && !c->n_experts_used)
        c->n_experts_used = c->n_experts < 2 ? 1 : 2;
    if (!c->max_context)
        c->max_context = 32768;
}

enum bise_status synth_parse_shape(struct model_config *c, const char *text,
                                   struct bise_error *err) {
    char copy[512];
    if (strlen(text) >= sizeof copy)
        return bise_fail(err, BISE_ERR_ARG, "--shape: longer than %zu characters", sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    memset(c, 0, sizeof *c);
    char *rest = NULL;
    bool first = true;
    for (char *item = strtok_r(copy, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(item, '=');
        if (first && !equals && find_preset(c, item)) {
            first = false;
            continue;
        }
        first = false;
        if (!equals)
            return bise_fail(err, BISE_ERR_ARG,
                             "--shape: expected mistral-7b, mistral-7b-v0.2, mistral-7b-v0.3, "
                             "mixtral-8x7b, llama-2-13b or KEY=VALUE, found \"%s\"",
                             item);
        *equals = 0;
        const enum bise_status s = set_key(c, item, equals + 1, err);
        if (s != BISE_OK)
            return s;
    }
    fill_defaults(c);
    const enum bise_status s = config_check(c, "--shape", err);
    return s == BISE_OK ? BISE_OK : BISE_ERR_ARG;
}

static int synthesize(struct synth *s, const char *out, const char *checkpoint) {
    struct bise_error err = {0};
    const char *path = out ? out : checkpoint;
    synth_init_table(s);
    interrupt_catch();
    progress_begin(&s->progress, path);
    const enum bise_status status =
        out ? synth_write_bise(s, path, &err) : synth_write_checkpoint(s, path, &err);
    progress_end(&s->progress);
    if (status != BISE_OK)
        return report(status, &err);
    say("%s written in %.1f s\n", path, seconds_now() - s->progress.started);
    return EXIT_DONE;
}

int cmd_synth(int argc, char **argv) {
    const char *shape = NULL, *type = "i4", *out = NULL, *checkpoint = NULL;
    int64_t seed = 1, threads = 0;
    int code;
    struct bise_error err = {0};
    const struct option_def defs[] = {
        {"--shape", OPT_STRING(&shape), "SHAPE",
         "mistral-7b, mixtral-8x7b, ... or KEY=VALUE,... or both, of dim, ffn, layers, heads, kv, "
         "vocab, window, head_dim, experts, top, theta, ctx"},
        {"--type", OPT_STRING(&type), "TYPE", "i4, i8, bf16 or f32 (default i4)"},
        {"-o|--output", OPT_STRING(&out), "FILE", "the .bise file to write"},
        {"--checkpoint", OPT_STRING(&checkpoint), "DIR",
         "write a Hugging Face style bf16 checkpoint instead"},
        {"--seed", OPT_INT(&seed, 0, 9e15), "N", "seed of the random weights (default 1)"},
        {"-t|--threads", OPT_INT(&threads, 1, 1024), "N", "threads (default: all that are fast)"},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise synth --shape SHAPE (-o FILE [--type TYPE] | --checkpoint DIR)", NULL,
                       0, &code))
        return code;
    if (!shape || !out == !checkpoint || !*(out ? out : checkpoint))
        return refuse(EXIT_USAGE, "--shape and either -o or --checkpoint are needed");
    struct synth *s = calloc(1, sizeof *s);
    if (!s)
        return report(BISE_ERR_MEMORY, NULL);
    s->seed = (uint64_t)seed;
    s->n_threads = threads > 0 ? (int)threads : cpu_default_threads();
    s->type = tensor_type_from_name(type);
    enum bise_status status = synth_parse_shape(&s->config, shape, &err);
    if (status == BISE_OK && s->type == TYPE_COUNT)
        status = bise_fail(&err, BISE_ERR_ARG, "--type: expected i4, i8, bf16 or f32, found \"%s\"",
                           type);
    code = status == BISE_OK ? synthesize(s, out, checkpoint) : report(status, &err);
    free(s);
    return code;
}
