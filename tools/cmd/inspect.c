/* bise inspect: what a .bise file holds, for people and for programs. */
#include "tools/chat/session_facts.h"
#include "tools/common/model_path.h"

#include "src/base/json.h"
#include "src/model/format.h"
#include "src/model/shape.h"
#include "src/text/tokenizer.h"
#include "tools/common/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums over tensors. */
struct share {
    uint64_t n_params, bytes;
};

static void count(struct share *s, const struct tensor *t) {
    s->n_params += (uint64_t)t->rows * t->cols;
    s->bytes += t->length;
}

static double bits(const struct share *s) {
    return s->n_params ? 8.0 * (double)s->bytes / (double)s->n_params : 0;
}

static bool in_layer(const struct tensor *t) {
    return strncmp(t->name, "layers.", 7) == 0;
}

static void count_all(const struct bise_model *m, struct share *all, struct share *layers) {
    for (size_t i = 0; i < m->n_tensors; i++) {
        count(all, &m->tensors[i]);
        if (in_layer(&m->tensors[i]))
            count(layers, &m->tensors[i]);
    }
}

/* The text without the spaces at its end, which keep room for what is measured later. */
static const char *trimmed(char *out, const char *text) {
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ')
        n--;
    memcpy(out, text, n);
    out[n] = 0;
    return out;
}

/* ---- for people --------------------------------------------------------------------------- */

/* Tensors of one kind: the same name but for the numbers in it, type and shape. */
struct kind {
    char name[64];
    const struct tensor *first;
    size_t n;
    uint64_t bytes;
    float least, most; /* relative error; NaN: not measured */
};

static void kind_name(char *out, const char *name) {
    *out++ = *name++; /* no name is empty */
    while (*name) {
        const size_t digits = strspn(name, "0123456789");
        const bool number = digits > 0 && out[-1] == '.';
        *out++ = number ? '*' : *name;
        name += number ? digits : 1;
    }
    *out = 0;
}

/* kinds [n_tensors], zeroed; returns how many there are. */
static size_t group(struct kind *kinds, const struct bise_model *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        char name[64];
        kind_name(name, t->name);
        size_t k = 0;
        while (k < n && (strcmp(kinds[k].name, name) != 0 || kinds[k].first->type != t->type))
            k++;
        if (k == n) {
            n++;
            memcpy(kinds[k].name, name, sizeof name);
            kinds[k].first = t;
            kinds[k].least = kinds[k].most = t->error;
        }
        kinds[k].n++;
        kinds[k].bytes += t->length;
        kinds[k].least = fminf(kinds[k].least, t->error);
        kinds[k].most = fmaxf(kinds[k].most, t->error);
    }
    return n;
}

static void print_size(uint64_t bytes) {
    char text[SIZE_TEXT];
    print("%s", size_text(text, bytes));
}

static void print_row(const char *name, const struct tensor *t, size_t n, uint64_t bytes,
                      float least, float most) {
    char shape[48], error[48] = "";
    if (t->is_vector)
        snprintf(shape, sizeof shape, "[%u]", t->cols);
    else
        snprintf(shape, sizeof shape, "[%u][%u]", t->rows, t->cols);
    if (!isnan(least) && least == most)
        snprintf(error, sizeof error, "%.4f", (double)least);
    else if (!isnan(least))
        snprintf(error, sizeof error, "%.4f..%.4f", (double)least, (double)most);
    print("%-44s %5zu  %-4s  %-16s %7.2f  %-15s ", name, n, tensor_type_name(t->type), shape,
          8.0 * (double)bytes / ((double)n * t->rows * t->cols), error);
    print_size(bytes);
    putchar('\n');
}

static int print_tensors(const struct bise_model *m, bool each) {
    print("\n%-44s %5s  %-4s  %-16s %7s  %-15s %s\n", "tensor", "count", "type", "shape", "bits",
          "relative error", "size");
    for (size_t i = 0; each && i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        print_row(t->name, t, 1, t->length, t->error, t->error);
    }
    if (each)
        return EXIT_DONE;
    struct kind *kinds = calloc(m->n_tensors, sizeof *kinds);
    if (!kinds)
        return report(BISE_ERR_MEMORY, NULL);
    const size_t n = group(kinds, m);
    for (size_t i = 0; i < n; i++)
        print_row(kinds[i].name, kinds[i].first, kinds[i].n, kinds[i].bytes, kinds[i].least,
                  kinds[i].most);
    free(kinds);
    return EXIT_DONE;
}

/* A text of several lines, indented as the values of this page are. */
static void print_text(const char *label, const char *text) {
    print("%-12s ", label);
    for (const char *p = *text ? text : "-"; *p; p++) {
        putchar(*p);
        if (*p == '\n' && p[1])
            print("%13s", "");
    }
    if (!*text || text[strlen(text) - 1] != '\n')
        putchar('\n');
}

/* Where a text gets the space in front of it, for people or in one word. */
static const char *prefix_name(const struct tokenizer *t, bool in_words) {
    switch (tokenizer_prefix(t)) {
    case PREFIX_FIRST:
        return in_words ? "where the text begins" : "first";
    case PREFIX_ALWAYS:
        return in_words ? "before every stretch of text" : "always";
    default:
        return "never";
    }
}

static void print_config(const struct bise_model *m) {
    const struct model_config *c = &m->config;
    print("shape        %u layers, hidden %u, feed-forward %u, vocabulary %u%s\n", c->n_layers,
          c->dim, c->ffn_dim, c->vocab_size, c->tied_head ? ", tied output" : "");
    print("attention    %u heads, %u KV heads, head dimension %u, ", c->n_heads, c->n_kv_heads,
          c->head_dim);
    if (c->window)
        print("sliding window %u\n", c->window);
    else
        print("no sliding window\n");
    if (c->n_experts)
        print("mixture      %u experts, %u per token\n", c->n_experts, c->n_experts_used);
    print("numbers      RoPE theta %g, RMSNorm epsilon %g, context ", c->rope_theta,
          (double)c->norm_eps);
    if (c->max_context)
        print("%u\n", c->max_context);
    else
        print("unknown\n");
    print("tokens       BOS %d, EOS", c->bos_id);
    for (uint32_t i = 0; i < c->n_eos; i++)
        print("%s %d", i ? "," : "", c->eos_ids[i]);
    print("%s%s%s\n", c->n_eos ? "" : " none", c->no_bos ? "; no BOS before a text" : "",
          c->add_eos ? "; EOS behind a text" : "");
    print("chat format  %s\n", c->chat == CHAT_UNKNOWN ? "unknown" : chat_format_name(c->chat));
    if (m->tokenizer)
        print("tokenizer    SentencePiece BPE, %zu pieces, %zu bytes%s%s\n",
              tokenizer_size(m->tokenizer), m->tokenizer_len,
              c->own_rules ? ", rules of its own: a prefix " : "",
              c->own_rules ? prefix_name(m->tokenizer, true) : "");
    else
        print("tokenizer    none\n");
}

static int print_page(const struct bise_model *m, const char *path, bool each) {
    const struct bise_model_info *info = bise_model_info(m);
    struct share all = {0}, layers = {0};
    count_all(m, &all, &layers);
    print("%s: .bise format %u, ", path, m->version);
    print_size(info->file_bytes);
    print(" (%" PRIu64 " bytes)\n\n", info->file_bytes);
    if (info->name[0])
        print("name         %s\n", info->name);
    print("weights      %" PRIu64 " parameters, %.2f bits each; layers mostly %s, %.2f bits\n",
          all.n_params, bits(&all), info->weight_type, bits(&layers));
    print_config(m);
    print_text("source", m->provenance.source);
    print_text("recipe", m->provenance.recipe);
    char eval[sizeof m->provenance.eval];
    print_text("evaluation", trimmed(eval, m->provenance.eval));
    print("%-12s chat format, window, name, tokenizer (bise set)\n", "can be set");
    return print_tensors(m, each);
}

/* ---- for programs ------------------------------------------------------------------------- */

/* text: at most FORMAT_TEXT_MAX bytes. */
static void print_escaped(const char *text) {
    char out[6 * FORMAT_TEXT_MAX + 3]; /* an escape has at most 6 bytes for each */
    json_escape(out, sizeof out, text, strlen(text));
    fputs(out, stdout);
}

static void json_tensor(const struct tensor *t) {
    print("{\"name\":\"%s\",\"type\":\"%s\",\"shape\":[", t->name, tensor_type_name(t->type));
    if (!t->is_vector)
        print("%u,", t->rows);
    print("%u],\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"crc32c\":\"%08x\",\"error\":",
          t->cols, t->offset, t->length, t->crc);
    if (isnan(t->error))
        print("null");
    else
        print("%.9g", (double)t->error);
    if (t->type == TYPE_I4) {
        print(",\"codebook\":[");
        for (unsigned i = 0; i < CODEBOOK_SIZE; i++)
            print("%s%d", i ? "," : "", t->codebook[i]);
        putchar(']');
    }
    putchar('}');
}

static void json_config(const struct model_config *c) {
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        {"dim", c->dim},
        {"n_layers", c->n_layers},
        {"n_heads", c->n_heads},
        {"n_kv_heads", c->n_kv_heads},
        {"head_dim", c->head_dim},
        {"ffn_dim", c->ffn_dim},
        {"vocab_size", c->vocab_size},
        {"n_experts", c->n_experts},
        {"n_experts_used", c->n_experts_used},
        {"window", c->window},
        {"max_context", c->max_context},
    };
    print("\"config\":{");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        print("\"%s\":%u,", numbers[i].name, numbers[i].value);
    print("\"rope_theta\":%.17g,\"norm_eps\":%.9g,\"tied_head\":%s,\"bos_id\":%d,\"eos_ids\":[",
          c->rope_theta, (double)c->norm_eps, c->tied_head ? "true" : "false", c->bos_id);
    for (uint32_t i = 0; i < c->n_eos; i++)
        print("%s%d", i ? "," : "", c->eos_ids[i]);
    print("],\"add_bos\":%s,\"add_eos\":%s,\"tokenizer_rules\":%s,\"chat_format\":\"%s\"},\n",
          c->no_bos ? "false" : "true", c->add_eos ? "true" : "false",
          c->own_rules ? "true" : "false", chat_format_name(c->chat));
}

static void print_json(const struct bise_model *m) {
    const struct bise_model_info *info = bise_model_info(m);
    struct share all = {0}, layers = {0};
    count_all(m, &all, &layers);
    print("{\"format\":%u,\"file_bytes\":%" PRIu64 ",\"weight_bytes\":%" PRIu64
          ",\"parameters\":%" PRIu64 ",\n",
          m->version, info->file_bytes, info->weight_bytes, info->n_params);
    print("\"bits_per_weight\":%.6g,\"layer_bits_per_weight\":%.6g,\"weight_type\":\"%s\",\n",
          bits(&all), bits(&layers), info->weight_type);
    print("\"name\":");
    print_escaped(info->name);
    print(",\n");
    json_config(&m->config);
    print("\"tokenizer\":");
    if (m->tokenizer)
        print("{\"pieces\":%zu,\"bytes\":%zu,\"prefix\":\"%s\"},\n", tokenizer_size(m->tokenizer),
              m->tokenizer_len, prefix_name(m->tokenizer, false));
    else
        print("null,\n");
    print("\"provenance\":{\"source\":");
    print_escaped(m->provenance.source);
    print(",\"recipe\":");
    print_escaped(m->provenance.recipe);
    print(",\"evaluation\":");
    char eval[sizeof m->provenance.eval];
    print_escaped(trimmed(eval, m->provenance.eval));
    print("},\n\"tensors\":[");
    for (size_t i = 0; i < m->n_tensors; i++) {
        print("%s\n", i ? "," : "");
        json_tensor(&m->tensors[i]);
    }
    print("]}\n");
}

int cmd_inspect(int argc, char **argv) {
    const char *path = NULL, *given = NULL;
    bool json = false, each = false;
    int code;
    struct bise_error err = {0};
    struct bise_model *model = NULL;
    const struct bise_model_params params = {.no_tensors = true};
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING(&given), "FILE", "the .bise file, which may stand alone"},
        {"--json", OPT_FLAG(&json), "print one JSON object, every tensor in it"},
        {"--tensors", OPT_FLAG(&each), "list every tensor, not kinds of tensors"},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise inspect MODEL [options]", &path, 1, &code))
        return code;
    if (!given && !path)
        return refuse(EXIT_USAGE, "expected one MODEL (see bise inspect --help)");
    const char *const file = given ? given : path;
    if ((!given || !path) && !json && is_session(file))
        return session_print(file);
    if ((path = model_given(given, path, &code)) == NULL)
        return code;
    const enum bise_status s = bise_model_open(&model, path, &params, &err);
    if (s != BISE_OK)
        return report(s, &err);
    code = EXIT_DONE;
    if (json)
        print_json(model);
    else
        code = print_page(model, path, each);
    bise_model_close(&model);
    return code;
}
