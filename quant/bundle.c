#include "quant/bundle.h"

#include "quant/source/tokenizer_files.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX_BYTES ((size_t)1 << 30)

/* The tokenizer within a file of weights is complete: nothing beside it is looked at. */
static enum bise_status open_within(struct bundle *b, const uint8_t *within, size_t len,
                                    const char *where, uint32_t vocab_size,
                                    struct bise_error *err) {
    b->bytes = malloc(len);
    if (!b->bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", where);
    memcpy(b->bytes, within, len);
    b->len = len;
    const enum bise_status s = tokenizer_open(&b->tokenizer, b->bytes, b->len, where, err);
    if (s || tokenizer_size(b->tokenizer) <= vocab_size)
        return s;
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: expected at most %u pieces, the model's vocabulary, found %zu", where,
                     vocab_size, tokenizer_size(b->tokenizer));
}

static enum bise_status open_files(struct bundle *b, const char *path, const char *weights,
                                   uint32_t vocab_size, const struct listener *listener,
                                   struct bise_error *err) {
    char lines[4096] = "";
    struct note note = {.text = lines, .cap = sizeof lines};
    struct tokenizer_files files;
    const enum bise_status s = tokenizer_files_open(&files, path, weights, vocab_size, &note, err);
    for (char *rest = lines, *line; !s && (line = strsep(&rest, "\n")) != NULL;)
        if (*line)
            listener_note(listener, "%s%s",
                          strncmp(line, "warning: ", 9) == 0 ? "" : "note: ", line);
    *b = (struct bundle){.bytes = files.bytes,
                         .len = files.len,
                         .tokenizer = files.tokenizer,
                         .says_ends = true,
                         .no_bos = files.no_bos,
                         .add_eos = files.add_eos};
    return s;
}

enum bise_status bundle_open(struct bundle *b, const struct source *source, const char *where,
                             const char *path, const struct listener *listener,
                             struct bise_error *err) {
    const struct model_config *config = source_config(source);
    size_t within_len;
    const uint8_t *within = source_tokenizer_bytes(source, &within_len);
    *b = (struct bundle){0};
    path = path ? path : source_tokenizer_path(source);
    if (!path && !within) {
        listener_note(listener,
                      "warning: %s holds no tokenizer.model or tokenizer.json: the file will only "
                      "take token ids (give one by --tokenizer)",
                      where);
        return BISE_OK;
    }
    enum bise_status s =
        path ? open_files(b, path, within ? NULL : where, config->vocab_size, listener, err)
             : open_within(b, within, within_len, where, config->vocab_size, err);
    for (uint32_t i = 0; i < config->n_eos && !s; i++) /* as in the model that is made of it */
        tokenizer_reserve(b->tokenizer, config->eos_ids[i]);
    if (!s)
        tokenizer_reserve(b->tokenizer, config->bos_id);
    if (!s && tokenizer_size(b->tokenizer) < config->vocab_size)
        listener_note(listener,
                      "note: %s has %zu pieces, the model's vocabulary %u: the others have no text",
                      path ? path : where, tokenizer_size(b->tokenizer), config->vocab_size);
    return s;
}

void bundle_settings(const struct bundle *b, struct model_config *config) {
    config->own_rules = b->tokenizer && tokenizer_has_rules(b->tokenizer);
    if (b->says_ends) {
        config->no_bos = b->no_bos;
        config->add_eos = b->add_eos;
    }
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
    const size_t cap = TOKENIZER_MAX_IDS(len);
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
