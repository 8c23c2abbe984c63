/* The tokenizer that goes into a .bise file. */
#ifndef BISE_QUANT_BUNDLE_H
#define BISE_QUANT_BUNDLE_H

#include "quant/base/listener.h"
#include "quant/source/source.h"

struct bundle {
    uint8_t *bytes; /* of a tokenizer.model; NULL: none */
    size_t len;
    struct tokenizer *tokenizer; /* of these bytes */
};

/* The tokenizer at path, or (path NULL) the source's, with the tokens of an added_tokens.json
 * beside it or beside the source's weights; it must fit the source's vocabulary. where: the
 * source's path. bundle_close is due in any case.
 * Errors: those of file_read_whole, tokenizer_open and added_tokens_append. */
enum bise_status bundle_open(struct bundle *b, const struct source *source, const char *where,
                             const char *path, const struct listener *listener,
                             struct bise_error *err);
/* The text in a file as ids: *ids [*n], malloc'd, behind `first` where that is not negative.
 * option: what asks for it, for messages. Errors: IO, MEMORY, ARG (no tokenizer, fewer than `least`
 * ids of the text). */
enum bise_status bundle_tokenize(const struct bundle *b, const char *option, const char *path,
                                 int32_t first, size_t least, int32_t **ids, size_t *n,
                                 struct bise_error *err);
void bundle_close(struct bundle *b);

#endif
