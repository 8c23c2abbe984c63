/* A .bise file as a source: for files of other types made from it, and for comparing. Internal to
 * quant/source. */
#ifndef BISE_QUANT_SOURCE_BISE_FILE_H
#define BISE_QUANT_SOURCE_BISE_FILE_H

#include "quant/source/folder.h"

struct source;

/* Whether path is named like one. */
bool is_bise_file(const char *path);
/* Errors: as bise_model_open. */
enum bise_status bise_file_open(struct source *s, const char *path, struct note *note,
                                struct bise_error *err);
/* Rows [row, row + n) of tensor i as the floats [n][cols] that its codes stand for. */
enum bise_status bise_file_rows(const struct source *s, size_t i, uint32_t row, uint32_t n,
                                float *out, struct bise_error *err);

#endif
