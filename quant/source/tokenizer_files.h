/* The tokenizer that the files beside the weights make: tokenizer.model or tokenizer.json, with the
 * tokens and settings that tokenizer_config.json, added_tokens.json and tokenizer.json add. */
#ifndef BISE_QUANT_SOURCE_TOKENIZER_FILES_H
#define BISE_QUANT_SOURCE_TOKENIZER_FILES_H

#include "quant/source/note.h"
#include "src/base/error.h"

#define TOKENIZER_MAX_BYTES ((size_t)64 << 20)

struct tokenizer;

struct tokenizer_files {
    uint8_t *bytes; /* a ModelProto, with rules of its own where it needs them; [len] */
    size_t len;
    struct tokenizer *tokenizer; /* of these bytes */
    bool no_bos, add_eos;        /* as in model_config */
};

/* path: a tokenizer.model or a tokenizer.json. The other files lie beside it, or, one by one where
 * they do not, in the folder of weights (a file or a folder; may be NULL). vocab_size: the model's;
 * 0: as large as need be. tokenizer_files_close is due in any case.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY: file, expected, found. */
enum bise_status tokenizer_files_open(struct tokenizer_files *t, const char *path,
                                      const char *weights, uint32_t vocab_size, struct note *note,
                                      struct bise_error *err);
void tokenizer_files_close(struct tokenizer_files *t);

#endif
