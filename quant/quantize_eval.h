/* bise quantize --eval: what rounding cost on a text, measured before the file gets its name. */
#ifndef BISE_QUANT_QUANTIZE_EVAL_H
#define BISE_QUANT_QUANTIZE_EVAL_H

#include "quant/reference.h"
#include "quant/write/writer.h"

#define EVAL_TEXT_BYTES 240u /* kept in a file's header for what was measured */

/* The text as ids, BOS in front. */
struct eval_text {
    const char *path;
    int32_t *ids;
    size_t n;
};

/* Reads and tokenizes: before the work, so that a wrong text is known then. eval_text_close is due
 * in any case. Errors: those of bundle_tokenize. */
enum bise_status eval_text_open(struct eval_text *t, const char *path, const struct origin *from,
                                struct bise_error *err);
void eval_text_close(struct eval_text *t);

/* What there is room for before anything is measured. */
void eval_placeholder(char *out, size_t cap);

/* Runs the source, as bf16, and the finished writer's file side by side over the text, as bise
 * perplexity --text does; notes what it found and puts it into the file.
 * Errors: those of reference_open, writer_seal, bise_model_open and evaluation_run. */
enum bise_status eval_run(const struct eval_text *t, const struct origin *from, struct writer *w,
                          struct bise_error *err);

#endif
