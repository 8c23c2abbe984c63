/* The tokenizer that goes into a .bise file. */
#ifndef BISE_QUANT_BUNDLE_H
#define BISE_QUANT_BUNDLE_H

#include "quant/base/listener.h"
#include "quant/source/source.h"

struct bundle {
    uint8_t *bytes; /* of a tokenizer.model; NULL: none */
    size_t len;
    struct tokenizer *tokenizer; /* of these bytes */
    bool says_ends;              /* whether the next two come with it */
    bool no_bos, add_eos;        /* as in model_config */
};

/* The tokenizer at path, or (path NULL) the source's, with what the files beside it or beside the
 * source's weights add; it must fit the source's vocabulary. where: the source's path. bundle_close
 * is due in any case. Errors: those of tokenizer_files_open and tokenizer_open. */
enum bise_status bundle_open(struct bundle *b, const struct source *source, const char *where,
                             const char *path, const struct listener *listener,
                             struct bise_error *err);
/* What of a model's config the tokenizer decides. */
void bundle_settings(const struct bundle *b, struct model_config *config);
/* The text in a file as ids: *ids [*n], malloc'd, behind `first` where that is not negative.
 * option: what asks for it, for messages. Errors: IO, MEMORY, ARG (no tokenizer, fewer than `least`
 * ids of the text). */
enum bise_status bundle_tokenize(const struct bundle *b, const char *option, const char *path,
                                 int32_t first, size_t least, int32_t **ids, size_t *n,
                                 struct bise_error *err);
void bundle_close(struct bundle *b);

#endif
