#include "quant/bundle.h"

#include "quant/source/added_tokens.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENIZER_MAX_BYTES ((size_t)64 << 20)
#define TEXT_MAX_BYTES      ((size_t)1 << 30)

/* "added_tokens.json" in the folder of a file, or in a folder; *out is the caller's, NULL if there
 * is none. */
static enum bise_status added_tokens_beside(char **out, const char *place, struct bise_error *err) {
    const size_t len = file_is_folder(place) ? strlen(place) : (size_t)(file_base(place) - place);
    char *folder = len ? strndup(place, len) : strdup(".");
    *out = folder ? file_join(folder, "added_tokens.json") : NULL;
    free(folder);
    if (!*out)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", place);
    if (!file_exists(*out)) {
        free(*out);
        *out = NULL;
    }
    return BISE_OK;
}

static void note_added(const struct bundle *b, const struct added_tokens *added, const char *name,
                       const struct listener *listener) {
    char unused[64] = "";
    if (added->n_ignored)
        listener_note(listener,
                      "note: %s: the token for padding lies beyond the model's vocabulary and is "
                      "left out",
                      name);
    if (added->n_unused)
        snprintf(unused, sizeof unused, ", unused pieces between them: %zu", added->n_unused);
    if (added->n_control)
        listener_note(listener, "note: %s: tokens added to the tokenizer: %zu, ids %zu to %u%s",
                      name, added->n_control, tokenizer_size(b->tokenizer), added->end - 1, unused);
}

/* A fine-tune's tokens become pieces of the tokenizer, which then is opened again. */
static enum bise_status add_tokens(struct bundle *b, const char *name, uint32_t vocab_size,
                                   const struct listener *listener, struct bise_error *err) {
    uint8_t *json = NULL;
    size_t len = 0;
    struct added_tokens added = {0};
    enum bise_status s = file_read_whole(name, ADDED_TOKENS_MAX_BYTES, &json, &len, err);
    if (!s)
        s = added_tokens_append(&b->bytes, &b->len, b->tokenizer, (const char *)json, len, name,
                                vocab_size, &added, err);
    if (!s)
        note_added(b, &added, name, listener);
    if (!s && added.n_control) {
        tokenizer_close(&b->tokenizer);
        s = tokenizer_open(&b->tokenizer, b->bytes, b->len, name, err);
    }
    free(json);
    return s;
}

/* path: the file of a tokenizer, not that of weights with one inside, which is complete. Its
 * added_tokens.json lies beside it, else beside the weights. */
static enum bise_status find_and_add_tokens(struct bundle *b, const char *path, const char *weights,
                                            uint32_t vocab_size, const struct listener *listener,
                                            struct bise_error *err) {
    char *name = NULL;
    enum bise_status s = added_tokens_beside(&name, path, err);
    if (!s && !name && weights)
        s = added_tokens_beside(&name, weights, err);
    if (!s && name)
        s = add_tokens(b, name, vocab_size, listener, err);
    free(name);
    return s;
}

/* Fills b->bytes from the file, or (path NULL) from the source's own. */
static enum bise_status read_bytes(struct bundle *b, const char *path, const uint8_t *within,
                                   size_t within_len, const char *where, struct bise_error *err) {
    if (path)
        return file_read_whole(path, TOKENIZER_MAX_BYTES, &b->bytes, &b->len, err);
    b->bytes = malloc(within_len);
    if (!b->bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", where);
    memcpy(b->bytes, within, within_len);
    b->len = within_len;
    return BISE_OK;
}

static enum bise_status check_size(const struct bundle *b, const char *name, uint32_t vocab_size,
                                   struct bise_error *err) {
    const size_t n = tokenizer_size(b->tokenizer);
    if (n <= vocab_size)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: expected at most %u pieces, the model's vocabulary, found %zu", name,
                     vocab_size, n);
}

enum bise_status bundle_open(struct bundle *b, const struct source *source, const char *where,
                             const char *path, const struct listener *listener,
                             struct bise_error *err) {
    const uint32_t vocab_size = source_config(source)->vocab_size;
    size_t within_len;
    const uint8_t *within = source_tokenizer_bytes(source, &within_len);
    *b = (struct bundle){0};
    path = path ? path : source_tokenizer_path(source);
    if (!path && !within) {
        listener_note(listener,
                      "warning: %s holds no tokenizer.model: the file will only take token ids "
                      "(give one by --tokenizer)",
                      where);
        return BISE_OK;
    }
    const char *name = path ? path : where;
    enum bise_status s = read_bytes(b, path, within, within_len, where, err);
    if (!s)
        s = tokenizer_open(&b->tokenizer, b->bytes, b->len, name, err);
    if (!s)
        s = check_size(b, name, vocab_size, err);
    if (!s && path)
        s = find_and_add_tokens(b, path, within ? NULL : where, vocab_size, listener, err);
    if (!s && tokenizer_size(b->tokenizer) < vocab_size)
        listener_note(listener,
                      "note: %s has %zu pieces, the model's vocabulary %u: the others have no text",
                      name, tokenizer_size(b->tokenizer), vocab_size);
    return s;
}

enum bise_status bundle_tokenize(const struct bundle *b, const char *option, const char *path,
                                 int32_t first, size_t least, int32_t **ids, size_t *n,
                                 struct bise_error *err) {
    const size_t head = first >= 0;
    uint8_t *text = NULL;
    size_t len = 0, found = 0;
    *ids = NULL;
    *n = 0;
    if (!b->tokenizer)
        return bise_fail(err, BISE_ERR_ARG, "%s: the model has no tokenizer for a text", option);
    enum bise_status s = file_read_whole(path, TEXT_MAX_BYTES, &text, &len, err);
    if (s)
        return s;
    const size_t cap = 3 * len + 4; /* no text has more: three bytes for a space, and the prefix */
    *ids = malloc((head + cap) * sizeof **ids);
    if (!*ids)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory to tokenize %zu bytes", path, len);
    if (!s)
        s = tokenizer_encode(b->tokenizer, (const char *)text, len, true, *ids + head, cap, &found,
                             err);
    if (!s && found < least)
        s = bise_fail(err, BISE_ERR_ARG, "%s: %s: expected at least %zu tokens, found %zu", option,
                      path, least, found);
    if (!s && head)
        **ids = first;
    if (!s)
        *n = head + found;
    free(text);
    return s;
}

void bundle_close(struct bundle *b) {
    tokenizer_close(&b->tokenizer);
    free(b->bytes);
    *b = (struct bundle){0};
}
