#include "quant/source/tokenizer_files.h"

#include "quant/source/folder.h"
#include "quant/source/tokenizer_json.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of JSON that was found: its path, for messages, and what it holds. */
struct json_file {
    char *path;
    struct json *json; /* NULL: there is none */
};

/* All that takes part. */
struct assembly {
    struct tokenizer_files *out;
    struct json_file config, added, tokenizer_json;
    struct tokenizer_json read; /* of a tokenizer.json that is taken */
    bool from_json;
    uint32_t vocab_size;
    struct note *note;
    struct bise_error *err;
};

static void close_file(struct json_file *f) {
    json_close(&f->json);
    free(f->path);
    *f = (struct json_file){0};
}

/* The file of that name beside place (a file or a folder), if there is one. */
static enum bise_status find_beside(struct json_file *f, const char *place, const char *name,
                                    struct bise_error *err) {
    struct folder folder = {.path = file_is_folder(place) ? strdup(place) : file_folder(place)};
    f->path = folder.path ? file_join(folder.path, name) : NULL;
    enum bise_status s = f->path ? folder_read_json(&folder, name, &f->json, err)
                                 : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", place);
    free(folder.path);
    if (!f->json)
        close_file(f);
    return s;
}

static enum bise_status find(struct json_file *f, const char *path, const char *weights,
                             const char *name, struct bise_error *err) {
    const enum bise_status s = find_beside(f, path, name, err);
    return s || f->json || !weights ? s : find_beside(f, weights, name, err);
}

/* ---- what the pieces come from ---- */

static bool looks_like_json(const uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < len && bytes[at] && strchr(" \t\r\n", bytes[at]))
        at++;
    return at < len && bytes[at] == '{';
}

/* tokenizer.model stays as it is, byte for byte; of a tokenizer.json a ModelProto is made. */
static enum bise_status read_pieces(struct assembly *a, const char *path) {
    struct tokenizer_files *t = a->out;
    enum bise_status s = file_read_whole(path, TOKENIZER_MAX_BYTES, &t->bytes, &t->len, a->err);
    if (!s)
        s = refuse_stand_in(path, t->bytes, t->len, a->err);
    a->from_json = !s && looks_like_json(t->bytes, t->len);
    if (s || !a->from_json)
        return s;
    close_file(&a->tokenizer_json);
    a->tokenizer_json.path = strdup(path);
    if (!a->tokenizer_json.path)
        return bise_fail(a->err, BISE_ERR_MEMORY, "%s: no memory", path);
    s = json_parse(&a->tokenizer_json.json, (const char *)t->bytes, t->len, path, a->err);
    free(t->bytes);
    t->bytes = NULL;
    t->len = 0;
    if (!s)
        s = tokenizer_json_read(&a->read, json_root(a->tokenizer_json.json), path, a->vocab_size,
                                a->note, a->err);
    return s ? s : proto_take(&a->read.pieces, path, &t->bytes, &t->len, a->err);
}

/* ---- settings of tokenizer_config.json ---- */

/* True or false, or `absent`. */
static bool setting(const struct assembly *a, const char *key, bool absent) {
    return json_flag(json_root(a->config.json), key, absent);
}

static void read_ends(struct assembly *a) {
    const bool says = a->from_json && a->read.says_ends;
    const bool bos = says ? a->read.add_bos : true, eos = says && a->read.add_eos;
    a->out->no_bos = !setting(a, "add_bos_token", bos);
    a->out->add_eos = setting(a, "add_eos_token", eos);
    if (says && (a->out->no_bos == bos || a->out->add_eos != eos))
        note_add(a->note,
                 "warning: %s and %s disagree on what a text begins and ends with: the "
                 "first is taken",
                 a->config.path, a->tokenizer_json.path);
}

/* Of a tokenizer.model: SentencePiece's rules, but for a prefix that the settings move. */
static uint32_t model_rules(const struct assembly *a) {
    uint32_t prefix = tokenizer_prefix(a->out->tokenizer);
    if (prefix == PREFIX_ALWAYS && !setting(a, "legacy", true))
        prefix = PREFIX_FIRST;
    if (!setting(a, "add_prefix_space", true))
        prefix = PREFIX_NEVER;
    return RULE_SPACES_EARLY | prefix;
}

/* ---- added tokens ---- */

static enum bise_status list_tokens(const struct assembly *a, struct added_list *l) {
    const struct json_value *decoder = json_get(json_root(a->config.json), "added_tokens_decoder");
    const struct json_value *list =
        a->from_json ? NULL : json_get(json_root(a->tokenizer_json.json), "added_tokens");
    enum bise_status s = BISE_OK;
    if (a->added.json)
        s = added_read(l, ADDED_BY_TOKEN, json_root(a->added.json), a->added.path, a->err);
    if (!s && decoder && decoder->kind != JSON_NULL)
        s = added_read(l, ADDED_BY_ID, decoder, a->config.path, a->err);
    if (!s && list && list->kind != JSON_NULL)
        s = added_read(l, ADDED_LIST, list, a->tokenizer_json.path, a->err);
    return s;
}

static void note_added(const struct assembly *a, const struct added_tokens *added, size_t first,
                       const char *where) {
    char unused[64] = "", matched[64] = "";
    if (added->n_padding && where)
        note_add(a->note,
                 "%s: the token for padding lies beyond the model's vocabulary and is left out",
                 where);
    if (added->n_unused)
        snprintf(unused, sizeof unused, ", unused pieces between them: %zu", added->n_unused);
    if (added->n_matched)
        snprintf(matched, sizeof matched, ", matched in text: %zu", added->n_matched);
    if (added->n_control + added->n_matched)
        note_add(a->note, "%s: tokens added to the tokenizer: %zu, ids %zu to %u%s%s", where,
                 added->n_control + added->n_matched, first, added->end - 1, matched, unused);
}

/* The files that tell of tokens, as one name for notes. */
static const char *teller(const struct assembly *a) {
    return a->added.json            ? a->added.path
           : a->config.json         ? a->config.path
           : a->tokenizer_json.json ? a->tokenizer_json.path
                                    : NULL;
}

/* Puts the pieces of `more` behind the tokenizer's own: protocol buffers may be joined end to
 * end. */
static enum bise_status join(struct tokenizer_files *t, struct proto *more, const char *path,
                             struct bise_error *err) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bise_status s = proto_take(more, path, &bytes, &len, err);
    uint8_t *grown = s ? NULL : realloc(t->bytes, t->len + len + 1);
    if (!s && !grown)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its tokenizer", path);
    if (grown) {
        t->bytes = grown;
        if (len > 0)
            memcpy(t->bytes + t->len, bytes, len);
        t->len += len;
    }
    free(bytes);
    return s;
}

/* Adds tokens, and rules where SentencePiece's own do not do. */
static enum bise_status add_tokens(struct assembly *a, const char *path) {
    struct tokenizer_files *t = a->out;
    struct added_list l = {0};
    struct added_tokens added = {0};
    struct proto more = {0}, rules = a->read.tokens;
    const size_t first = tokenizer_size(t->tokenizer);
    const uint32_t vocab = a->vocab_size ? a->vocab_size : TOKENIZER_MAX_PIECES;
    a->read.tokens = (struct proto){0};
    enum bise_status s = list_tokens(a, &l);
    if (!s)
        s = added_put(&l, t->tokenizer, vocab, &more, &rules, &added, a->note, a->err);
    if (!s)
        note_added(a, &added, first, teller(a));
    const uint32_t flags = a->from_json ? a->read.rules : model_rules(a);
    const bool ruled = a->from_json || rules.n > 0 ||
                       flags != (RULE_SPACES_EARLY | (uint32_t)tokenizer_prefix(t->tokenizer));
    if (!s && ruled)
        proto_rules(&more, flags, a->from_json ? &a->read.merges : NULL, &rules);
    if (!s && more.n + more.failed > 0) {
        s = join(t, &more, path, a->err);
        tokenizer_close(&t->tokenizer);
        if (!s)
            s = tokenizer_open(&t->tokenizer, t->bytes, t->len, path, a->err);
    }
    free(l.tokens);
    proto_free(&more);
    proto_free(&rules);
    return s;
}

/* A tokenizer.json beside the tokenizer.model that is taken: its added tokens count, and where
 * it is another one, that is said. What is wrong with it is no error: it is not needed. */
static enum bise_status find_other(struct assembly *a, const char *path) {
    struct bise_error ignored;
    const enum bise_status s = find_beside(&a->tokenizer_json, path, "tokenizer.json", &ignored);
    if (s == BISE_ERR_MEMORY)
        return bise_fail(a->err, s, "%s", ignored.detail);
    if (s)
        note_add(a->note, "warning: not read: %s", ignored.detail);
    return BISE_OK;
}

enum bise_status tokenizer_files_open(struct tokenizer_files *t, const char *path,
                                      const char *weights, uint32_t vocab_size, struct note *note,
                                      struct bise_error *err) {
    struct assembly a = {.out = t, .vocab_size = vocab_size, .note = note, .err = err};
    *t = (struct tokenizer_files){0};
    enum bise_status s = read_pieces(&a, path);
    if (!s)
        s = find(&a.config, path, weights, "tokenizer_config.json", err);
    if (!s)
        s = find(&a.added, path, weights, "added_tokens.json", err);
    if (!s && !a.from_json)
        s = find_other(&a, path);
    if (!s)
        s = tokenizer_open(&t->tokenizer, t->bytes, t->len, path, err);
    if (!s && vocab_size && tokenizer_size(t->tokenizer) > vocab_size)
        s = bise_fail(err, BISE_ERR_FORMAT,
                      "%s: expected at most %u pieces, the model's vocabulary, found %zu", path,
                      vocab_size, tokenizer_size(t->tokenizer));
    if (!s && !a.from_json && a.tokenizer_json.json)
        tokenizer_json_compare(json_root(a.tokenizer_json.json), t->tokenizer,
                               a.tokenizer_json.path, note);
    if (!s)
        read_ends(&a);
    if (!s)
        s = add_tokens(&a, path);
    tokenizer_json_free(&a.read);
    close_file(&a.config);
    close_file(&a.added);
    close_file(&a.tokenizer_json);
    return s;
}

void tokenizer_files_close(struct tokenizer_files *t) {
    struct tokenizer *tokenizer = t->tokenizer;
    tokenizer_close(&tokenizer);
    free(t->bytes);
    *t = (struct tokenizer_files){0};
}
