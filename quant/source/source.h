/* A checkpoint as somebody trained it: any of the layouts people have on disk, seen as one list of
 * tensors under the names of model.h, in Hugging Face's row order for wq and wk. */
#ifndef BISE_QUANT_SOURCE_SOURCE_H
#define BISE_QUANT_SOURCE_SOURCE_H

#include "src/model/config.h"

struct source;

struct source_tensor {
    char name[64];       /* model.h's names */
    char origin[256];    /* its name in the file, for messages */
    uint32_t rows, cols; /* rows 1 for vectors */
    bool is_vector;
    uint64_t bytes; /* in the source */
};

/* path: a folder, a single file of weights with its config.json or params.json beside it, a GGUF
 * file or a .bise file. Reads headers only; checks that every tensor the config asks for is there
 * with its shape.
 * note [note_cap]: what was chosen (e.g. one of two weight sets) or left out, lines, may be "".
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status source_open(struct source **out, const char *path, char *note, size_t note_cap,
                             struct bise_error *err);
void source_close(struct source **s);
const struct model_config *source_config(const struct source *s);
const struct source_tensor *source_tensors(const struct source *s, size_t *n);
/* Files it is made of, with sizes, as one line for provenance. */
const char *source_description(const struct source *s);
uint64_t source_bytes(const struct source *s);
/* A number that changes when a file it is made of is written anew. */
uint64_t source_identity(const struct source *s);
/* Rows [row, row + n) of tensor i as floats [n][cols], rows reordered where the layout needs it.
 * Safe from several threads. Errors: IO, FORMAT (a value not finite: tensor, row, column). */
enum bise_status source_read_rows(const struct source *s, size_t i, uint32_t row, uint32_t n,
                                  float *out, struct bise_error *err);
/* The chat format, where the files beside the weights make it certain; else CHAT_UNKNOWN.
 * tokenizer: the model's, NULL if there is none; it tells V1 from V3, and whether ChatML's marks
 * are tokens. *why: what is to be said of a format that is not certain, or NULL. */
struct tokenizer;
enum chat_format source_guess_chat(const struct source *s, const struct tokenizer *tokenizer,
                                   const char **why);
/* The tokenizer beside the weights; *path is owned by s, NULL if there is none. */
const char *source_tokenizer_path(const struct source *s);
/* The tokenizer in the file of weights (GGUF), as the bytes of a tokenizer.model [*len] owned by s;
 * NULL if there is none. */
const uint8_t *source_tokenizer_bytes(const struct source *s, size_t *len);

#endif
