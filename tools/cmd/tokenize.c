/* bise tokenize: text to ids and back. */
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include "quant/source/tokenizer_files.h"
#include "src/base/json.h"
#include "src/base/utf8.h"
#include "src/model/model.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tokenize_options {
    const char *model;
    bool jsonl, decode, special;
};

/* A tokenizer by itself, or inside a model. */
struct source_tokenizer {
    struct bise_model *model;
    struct tokenizer_files files;
    const struct tokenizer *t;
    bool special; /* names of control pieces in a text become these */
};

static int open_tokenizer(struct source_tokenizer *s, const char *path) {
    struct bise_error err = {0};
    char magic[4] = {0}, lines[1024] = "";
    struct note note = {.text = lines, .cap = sizeof lines};
    int fd;
    uint64_t size;
    size_t n;
    enum bise_status status = file_open(path, &fd, &size, &err);
    if (!status)
        status = file_read_upto(fd, path, 0, magic, sizeof magic, &n, &err);
    file_close(&fd);
    if (status)
        return report(status, &err);
    const bool is_bise = memcmp(magic, "BISE", 4) == 0;
    if (!is_bise) { /* with what the files beside it say, as quantize reads it */
        status = tokenizer_files_open(&s->files, path, NULL, 0, &note, &err);
        s->t = s->files.tokenizer;
        return status ? report(status, &err) : EXIT_DONE;
    }
    const struct bise_model_params params = {.no_tensors = true};
    status = bise_model_open(&s->model, path, &params, &err);
    if (status)
        return report(status, &err);
    s->t = s->model->tokenizer;
    if (s->t)
        return EXIT_DONE;
    return refuse(EXIT_INPUT, "%s: the model file has no tokenizer", path);
}

static void close_tokenizer(struct source_tokenizer *s) {
    tokenizer_files_close(&s->files);
    bise_model_close(&s->model);
}

/* ---- text to ids ---- */

/* where: a place for messages, "line 3: " or "". ids are malloc'd. */
static int encode(const struct source_tokenizer *s, const char *text, size_t len, const char *where,
                  int32_t **ids, size_t *n) {
    struct bise_error err = {0};
    const size_t cap = TOKENIZER_MAX_IDS(len);
    *ids = malloc(cap * sizeof **ids);
    if (!*ids)
        return refuse(EXIT_MEMORY, "no memory");
    const enum bise_status status =
        s->special ? tokenizer_encode_special(s->t, text, len, *ids, cap, n, &err)
                   : tokenizer_encode(s->t, text, len, true, *ids, cap, n, &err);
    if (status)
        complain("%s%s", where, err.detail);
    return exit_code_of(status);
}

static void print_ids(const int32_t *ids, size_t n, const char *separator) {
    for (size_t i = 0; i < n; i++)
        print("%s%d", i ? separator : "", ids[i]);
}

static int encode_line(const struct source_tokenizer *s, const struct json_value *line,
                       const char *where) {
    const struct json_value *text = json_get(line, "text");
    if (!text || text->kind != JSON_STRING) {
        return refuse(EXIT_INPUT, "%sexpected {\"text\": \"...\"}, found %s", where,
                      json_describe(text ? text : line));
    }
    int32_t *ids = NULL;
    size_t n;
    const int code = encode(s, text->string, text->len, where, &ids, &n);
    if (!code) {
        print("{\"ids\": [");
        print_ids(ids, n, ", ");
        print("]}\n");
    }
    free(ids);
    return code;
}

static int encode_text(const struct source_tokenizer *s, const char *text, size_t len) {
    int32_t *ids = NULL;
    size_t n;
    const int code = encode(s, text, len, "", &ids, &n);
    if (!code) {
        print_ids(ids, n, " ");
        print("\n");
    }
    free(ids);
    return code;
}

/* ---- ids to text ---- */

/* Decoded text grows id by id; the dummy prefix of the first piece is left out. */
struct decoder {
    const struct tokenizer *t;
    bool begun;
    struct utf8_stream utf8;
};

/* Writes what id adds to out [UTF8_STREAM_ROOM(1024)] (pieces are no longer) and returns its
 * length. */
static size_t decode_id(struct decoder *d, int32_t id, char *out) {
    size_t len;
    const char *piece = tokenizer_piece(d->t, id, &len);
    if (len && !d->begun && tokenizer_prefix(d->t) != PREFIX_NEVER && piece[0] == ' ') {
        piece++;
        len--;
    }
    d->begun |= tokenizer_kind(d->t, id) != PIECE_CONTROL;
    return utf8_stream_put(&d->utf8, piece, len, out);
}

#define DECODED_ROOM UTF8_STREAM_ROOM(1024)

static int bad_id(const struct tokenizer *t, const char *where, const char *found) {
    return refuse(EXIT_USAGE, "%sexpected ids from 0 to %zu, found \"%.40s\"", where,
                  tokenizer_size(t) - 1, found);
}

static int decode_text(const struct tokenizer *t, char *text) {
    struct decoder d = {.t = t};
    char out[DECODED_ROOM];
    for (char *word = strtok(text, " ,\t\r\n"); word; word = strtok(NULL, " ,\t\r\n")) {
        char *end;
        errno = 0;
        const long long id = strtoll(word, &end, 10);
        if (*end || errno || id < 0 || (size_t)id >= tokenizer_size(t))
            return bad_id(t, "", word);
        fwrite(out, 1, decode_id(&d, (int32_t)id, out), stdout);
    }
    fwrite(out, 1, utf8_stream_end(&d.utf8, out), stdout);
    return EXIT_DONE;
}

static void print_escaped(const char *text, size_t len) {
    char out[6 * DECODED_ROOM + 3]; /* an escape has at most 6 bytes for each */
    const size_t n = json_escape(out, sizeof out, text, len);
    fwrite(out + 1, 1, n - 2, stdout); /* without the quotes */
}

static int decode_line(const struct tokenizer *t, const struct json_value *line,
                       const char *where) {
    const struct json_value *ids = json_get(line, "ids");
    struct decoder d = {.t = t};
    char out[DECODED_ROOM];
    if (!ids || ids->kind != JSON_ARRAY) {
        return refuse(EXIT_INPUT, "%sexpected {\"ids\": [...]}, found %s", where,
                      json_describe(ids ? ids : line));
    }
    for (const struct json_value *v = json_first(ids); v; v = json_next(ids, v))
        if (v->kind != JSON_NUMBER || !v->is_integer || v->integer < 0 ||
            (uint64_t)v->integer >= tokenizer_size(t))
            return bad_id(t, where, json_describe(v));
    print("{\"text\": \"");
    for (const struct json_value *v = json_first(ids); v; v = json_next(ids, v))
        print_escaped(out, decode_id(&d, (int32_t)v->integer, out));
    print_escaped(out, utf8_stream_end(&d.utf8, out));
    print("\"}\n");
    return EXIT_DONE;
}

/* ---- input ---- */

static int convert_lines(const struct tokenize_options *o, const struct source_tokenizer *s) {
    char *line = NULL;
    size_t cap = 0, len, number = 0;
    int code = EXIT_DONE, error = 0;
    while (!code && read_text_line(stdin, &line, &cap, &len, &error)) {
        struct json *j = NULL;
        struct bise_error err = {0};
        char name[48], where[64];
        snprintf(name, sizeof name, "standard input, line %zu", ++number);
        snprintf(where, sizeof where, "%s: ", name);
        if (strspn(line, " \t\r\n") == len)
            continue;
        const enum bise_status status = json_parse(&j, line, len, name, &err);
        if (status)
            code = report(status, &err);
        else if (o->decode)
            code = decode_line(s->t, json_root(j), where);
        else
            code = encode_line(s, json_root(j), where);
        json_close(&j);
    }
    if (error)
        code = refuse(error == ENOMEM ? EXIT_MEMORY : EXIT_INPUT,
                      "standard input: reading failed: %s", strerror(error));
    free(line);
    return code;
}

static int convert_text(const struct tokenize_options *o, const struct source_tokenizer *s) {
    char *text;
    size_t len;
    int code = read_text("-", ANY_LENGTH, &text, &len);
    if (code)
        return code;
    code = o->decode ? decode_text(s->t, text) : encode_text(s, text, len);
    free(text);
    return code;
}

int cmd_tokenize(int argc, char **argv) {
    struct tokenize_options o = {.model = NULL};
    struct source_tokenizer s = {.model = NULL};
    int code;
    const char *argument = NULL;
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING(&o.model), "FILE",
         "a .bise file, a tokenizer.model or tokenizer.json (default: the demo model)"},
        {"--jsonl", OPT_FLAG(&o.jsonl), "lines {\"text\": \"...\"} in, lines {\"ids\": [...]} out"},
        {"--special", OPT_FLAG(&o.special),
         "read control tokens in the text (<s>, [INST]), as run --special does"},
        {"--decode", OPT_FLAG(&o.decode), "ids to text"},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise tokenize [MODEL] [--jsonl] [--special] [--decode] < TEXT", &argument,
                       1, &code))
        return code;
    const char *const path = model_given(o.model, argument, &code);
    if (!path)
        return code;
    s.special = o.special;
    code = open_tokenizer(&s, path);
    if (!code)
        code = o.jsonl ? convert_lines(&o, &s) : convert_text(&o, &s);
    close_tokenizer(&s);
    return code;
}
