/* tokenizer.json, where it is SentencePiece BPE in disguise: Hugging Face's tokenizers, the formats
 * that Llama's and Mistral's converters write. Internal to quant/source.
 * https://github.com/huggingface/tokenizers */
#ifndef BISE_QUANT_SOURCE_TOKENIZER_JSON_H
#define BISE_QUANT_SOURCE_TOKENIZER_JSON_H

#include "quant/source/added_tokens.h"

#define TOKENIZER_JSON_MAX_BYTES ((size_t)32 << 20) /* real ones have 2 to 5 MB */

struct tokenizer_json {
    struct proto pieces;         /* a ModelProto without rules; the added tokens among them */
    struct proto merges, tokens; /* of the rules */
    uint32_t rules;              /* enum tokenizer_rule */
    bool says_ends;              /* whether it says what a text begins and ends with */
    bool add_bos, add_eos;
};

/* root: the parsed file. vocab_size: the model's; 0: as large as need be. Added tokens beyond it
 * are left out with a warning. Fills out, which tokenizer_json_free frees in any case. Errors:
 * UNSUPPORTED (byte-level, Unigram, WordPiece, another normalizer ...: named), FORMAT (damaged:
 * where), MEMORY. */
enum bise_status tokenizer_json_read(struct tokenizer_json *out, const struct json_value *root,
                                     const char *name, uint32_t vocab_size, struct note *note,
                                     struct bise_error *err);
void tokenizer_json_free(struct tokenizer_json *t);
/* Says, by the first id that differs, where the file's vocabulary is another one than t's. */
void tokenizer_json_compare(const struct json_value *root, const struct tokenizer *t,
                            const char *name, struct note *note);

#endif
