/* bise quantize: a checkpoint becomes one .bise file. */
#include "tools.h"

#include "added_tokens.h"
#include "convert.h"
#include "cpu.h"
#include "error.h"
#include "file.h"
#include "mem.h"
#include "shape.h"
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define TOKENIZER_MAX_BYTES ((size_t)64 << 20)

struct options {
    const char *source, *out, *type, *head, *embed, *attention, *tokenizer, *chat;
    bool no_tokenizer;
    int64_t threads, window;
};

struct quantize {
    const struct options *options;
    enum tensor_type type, head, embed, attention;
    struct source *source;
    struct model_config config; /* the source's, with the chat format */
    struct tokenizer *tokenizer;
    uint8_t *tokenizer_bytes; /* NULL: none */
    size_t tokenizer_len;
    struct tensor_shape *shapes;
    struct writer_tensor *tensors;
    size_t n_tensors;
};

static enum bise_status parse_type(enum tensor_type *out, const char *flag, const char *text,
                                   enum tensor_type absent, struct bise_error *err) {
    *out = text ? tensor_type_from_name(text) : absent;
    if (*out != TYPE_COUNT)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_ARG, "%s: expected i4, i8, bf16 or f32, found \"%s\"", flag,
                     text);
}

/* Embeddings and head lose more by 4 bits than they save: i8 unless told. */
static enum bise_status parse_types(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    enum bise_status s = parse_type(&q->type, "--type", o->type, TYPE_I4, err);
    const enum tensor_type ends = q->type == TYPE_I4 ? TYPE_I8 : q->type;
    if (!s)
        s = parse_type(&q->head, "--head", o->head, ends, err);
    if (!s)
        s = parse_type(&q->embed, "--embed", o->embed, ends, err);
    if (!s && o->chat && chat_format_from_name(o->chat) == CHAT_FORMAT_COUNT)
        s = bise_fail(err, BISE_ERR_ARG,
                      "--chat-format: expected v1, v3, chatml, zephyr, llama2 or none, found "
                      "\"%s\"",
                      o->chat);
    return s;
}

/* A mixture's attention is 3 % of its weights and decides, through the router, which experts are
 * run: rounding it to 8 bits turns near ties (docs/decisions.md), so i8 leaves it at 16. */
static enum bise_status parse_attention(struct quantize *q, struct bise_error *err) {
    const bool mixture_i8 = q->config.n_experts > 0 && q->type == TYPE_I8;
    return parse_type(&q->attention, "--attention", q->options->attention,
                      mixture_i8 ? TYPE_BF16 : q->type, err);
}

static enum bise_status open_source(struct quantize *q, struct bise_error *err) {
    char note[2048];
    enum bise_status s = source_open(&q->source, q->options->source, note, sizeof note, err);
    for (char *rest = note, *line; (line = strsep(&rest, "\n")) != NULL;)
        if (!s && *line)
            fprintf(stderr, "note: %s\n", line);
    if (s)
        return s;
    q->config = *source_config(q->source);
    if (q->options->window)
        q->config.window = (uint32_t)q->options->window;
    if (q->config.tied_head && q->options->head)
        return bise_fail(err, BISE_ERR_ARG,
                         "--head: this model's head is its embedding matrix: use --embed");
    return parse_attention(q, err);
}

/* The added_tokens.json that belongs to a tokenizer: beside it, else beside the weights. *out is
 * the caller's; NULL if there is none. */
static enum bise_status find_added_tokens(char **out, const char *tokenizer, const char *weights,
                                          struct bise_error *err) {
    const char *const places[] = {tokenizer, weights};
    *out = NULL;
    for (size_t i = 0; i < 2 && !*out; i++) {
        const size_t len = file_is_folder(places[i]) ? strlen(places[i])
                                                     : (size_t)(file_base(places[i]) - places[i]);
        char *folder = len ? strndup(places[i], len) : strdup(".");
        char *path = folder ? file_join(folder, "added_tokens.json") : NULL;
        free(folder);
        if (!path)
            return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", places[i]);
        if (file_exists(path))
            *out = path;
        else
            free(path);
    }
    return BISE_OK;
}

/* A fine-tune's tokens become pieces of the tokenizer at path, which then is opened again. */
static enum bise_status add_tokens(struct quantize *q, const char *path, struct bise_error *err) {
    uint8_t *json = NULL;
    char *name;
    size_t len = 0;
    struct added_tokens added = {0};
    enum bise_status s = find_added_tokens(&name, path, q->options->source, err);
    if (s || !name)
        return s;
    s = file_read_whole(name, ADDED_TOKENS_MAX_BYTES, &json, &len, err);
    if (!s)
        s = added_tokens_append(&q->tokenizer_bytes, &q->tokenizer_len, q->tokenizer,
                                (const char *)json, len, name, q->config.vocab_size, &added, err);
    if (!s && added.n_control) {
        fprintf(stderr, "note: %s: tokens added to the tokenizer: %zu, ids %zu to %u", name,
                added.n_control, tokenizer_size(q->tokenizer), added.end - 1);
        if (added.n_unused)
            fprintf(stderr, ", unused pieces between them: %zu", added.n_unused);
        fputc('\n', stderr);
        tokenizer_close(&q->tokenizer);
        s = tokenizer_open(&q->tokenizer, q->tokenizer_bytes, q->tokenizer_len, name, err);
    }
    free(json);
    free(name);
    return s;
}

/* Reads the tokenizer to bundle and checks that it fits the model. */
static enum bise_status open_tokenizer(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    const char *path = o->tokenizer ? o->tokenizer : source_tokenizer_path(q->source);
    if (o->no_tokenizer)
        return BISE_OK;
    const uint8_t *within = source_tokenizer_bytes(q->source, &q->tokenizer_len);
    if (!path && !within) {
        fprintf(stderr,
                "warning: %s holds no tokenizer.model: the file will only take token ids "
                "(give one by --tokenizer)\n",
                o->source);
        return BISE_OK;
    }
    enum bise_status s = BISE_OK;
    if (path)
        s = file_read_whole(path, TOKENIZER_MAX_BYTES, &q->tokenizer_bytes, &q->tokenizer_len, err);
    else if ((q->tokenizer_bytes = malloc(q->tokenizer_len)))
        memcpy(q->tokenizer_bytes, within, q->tokenizer_len);
    else
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", o->source);
    if (!path)
        path = o->source;
    if (!s)
        s = tokenizer_open(&q->tokenizer, q->tokenizer_bytes, q->tokenizer_len, path, err);
    if (s)
        return s;
    size_t n = tokenizer_size(q->tokenizer);
    if (n > q->config.vocab_size)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected at most %u pieces, the model's vocabulary, found %zu", path,
                         q->config.vocab_size, n);
    s = add_tokens(q, path, err);
    if (s)
        return s;
    n = tokenizer_size(q->tokenizer);
    if (n < q->config.vocab_size)
        fprintf(stderr,
                "note: %s has %zu pieces, the model's vocabulary %u: the others have no "
                "text\n",
                path, n, q->config.vocab_size);
    return BISE_OK;
}

static void choose_chat(struct quantize *q) {
    const char *name = q->options->chat;
    q->config.chat =
        name ? chat_format_from_name(name) : source_guess_chat(q->source, q->tokenizer);
    if (q->config.chat == CHAT_UNKNOWN)
        fprintf(stderr,
                "note: the chat format is not certain from %s: bise chat will need "
                "--chat-format\n",
                q->options->source);
}

static enum tensor_type type_of(const struct quantize *q, const struct tensor_shape *s) {
    if (s->is_vector || s->is_router)
        return TYPE_F32;
    if (strcmp(s->name, "tok_embeddings") == 0)
        return q->embed;
    if (strstr(s->name, ".attention.") != NULL)
        return q->attention;
    return strcmp(s->name, "output") == 0 ? q->head : q->type;
}

static enum bise_status plan_tensors(struct quantize *q, struct bise_error *err) {
    enum bise_status s = config_shapes(&q->config, &q->shapes, &q->n_tensors, err);
    if (s)
        return s;
    q->tensors = calloc(q->n_tensors, sizeof *q->tensors);
    if (!q->tensors)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors", q->n_tensors);
    for (size_t i = 0; i < q->n_tensors; i++) {
        const struct tensor_shape *shape = &q->shapes[i];
        q->tensors[i] = (struct writer_tensor){shape->name, type_of(q, shape), shape->rows,
                                               shape->cols, shape->is_vector};
    }
    return BISE_OK;
}

static void print_summary(const struct quantize *q, uint64_t file_bytes, double seconds) {
    uint64_t n_weights = 0, bytes = 0;
    for (size_t i = 0; i < q->n_tensors; i++) {
        const struct writer_tensor *t = &q->tensors[i];
        n_weights += (uint64_t)t->rows * t->cols;
        bytes += tensor_bytes(t->type, t->rows, t->cols, t->is_vector);
    }
    const double before = (double)source_bytes(q->source);
    fprintf(stderr, "%s: %.1f MB -> %.1f MB, %.2f bits per weight, %.1f s, %.0f MB/s\n",
            q->options->out, before / 1e6, (double)file_bytes / 1e6,
            8.0 * (double)bytes / (double)n_weights, seconds, before / 1e6 / seconds);
}

static enum bise_status write_file(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    struct convert c = {.source = q->source,
                        .tensors = q->tensors,
                        .n_threads = o->threads ? (int)o->threads : cpu_default_threads()};
    struct provenance *p = calloc(1, sizeof *p);
    if (!p)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory");
    snprintf(p->source, sizeof p->source, "%s", source_description(q->source));
    snprintf(p->recipe, sizeof p->recipe,
             "bise " BISE_VERSION
             " quantize, %s, attention %s, head %s, embeddings %s, scales searched%s",
             tensor_type_name(q->type), tensor_type_name(q->attention),
             tensor_type_name(q->config.tied_head ? q->embed : q->head), tensor_type_name(q->embed),
             q->type == TYPE_I4 ? ", built-in codebook" : "");
    enum bise_status s = writer_open(&c.writer, o->out, &q->config, p, q->tokenizer_bytes,
                                     q->tokenizer_len, q->tensors, q->n_tensors, err);
    free(p);
    if (s)
        return s;
    const uint64_t file_bytes = writer_file_bytes(c.writer);
    progress_begin(&c.progress, o->out);
    s = convert_all(&c, err);
    if (!s)
        s = writer_finish(&c.writer, err);
    progress_end(&c.progress);
    writer_abort(&c.writer);
    if (!s)
        print_summary(q, file_bytes, seconds_now() - c.progress.started);
    return s;
}

static int quantize(const struct options *o) {
    struct quantize q = {.options = o};
    struct bise_error err = {0};
    interrupt_catch();
    enum bise_status s = parse_types(&q, &err);
    if (!s)
        s = open_source(&q, &err);
    if (!s)
        s = open_tokenizer(&q, &err);
    if (!s) {
        choose_chat(&q);
        s = plan_tensors(&q, &err);
    }
    if (!s)
        s = write_file(&q, &err);
    source_close(&q.source);
    tokenizer_close(&q.tokenizer);
    free(q.tokenizer_bytes);
    free(q.shapes);
    free(q.tensors);
    return s ? report(s, &err) : EXIT_DONE;
}

int cmd_quantize(int argc, char **argv) {
    struct options o = {0};
    const struct option_def defs[] = {
        {"-o|--output", OPT_STRING, &o.out, "FILE", "the .bise file to write", 0, 0},
        {"--type", OPT_STRING, &o.type, "TYPE", "i4 (default), i8, bf16 or f32", 0, 0},
        {"--head", OPT_STRING, &o.head, "TYPE",
         "type of the output head (default: i8 with i4, else as --type)", 0, 0},
        {"--embed", OPT_STRING, &o.embed, "TYPE", "type of the embeddings (default: likewise)", 0,
         0},
        {"--attention", OPT_STRING, &o.attention, "TYPE",
         "type of attention's matrices (default: as --type, but bf16 for a mixture in i8)", 0, 0},
        {"--tokenizer", OPT_STRING, &o.tokenizer, "FILE",
         "tokenizer.model to bundle (default: the one beside the weights)", 0, 0},
        {"--no-tokenizer", OPT_FLAG, &o.no_tokenizer, NULL, "bundle none", 0, 0},
        {"--chat-format", OPT_STRING, &o.chat, "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: guessed where certain)", 0, 0},
        {"--window", OPT_INT, &o.window, "N",
         "sliding window, where the source does not say it (GGUF): 4096 for Mistral 7B v0.1", 1,
         1 << 30},
        {"-t|--threads", OPT_INT, &o.threads, "N", "threads (default: all that are fast)", 1, 1024},
    };
    size_t n;
    int code;
    if (!options_parse(
            argc, argv, defs, sizeof defs / sizeof defs[0],
            "bise quantize SOURCE -o FILE [options]\n\n"
            "SOURCE: a folder with config.json and model.safetensors, pytorch_model.bin\n"
            "or their shards, or with params.json and consolidated.safetensors or\n"
            "consolidated.00.pth; or one such file; or a .gguf file",
            &o.source, 1, &n, &code))
        return code;
    if (n != 1 || !o.out) {
        fprintf(stderr, "bise quantize: %s\nusage: bise quantize SOURCE -o FILE [options]\n",
                n != 1 ? "no checkpoint given" : "-o FILE is needed");
        return EXIT_USAGE;
    }
    return quantize(&o);
}
