/* What a file of weights is, by its first bytes and, where those say nothing, by its name; and what
 * people have in a model's place that is none. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_FILE_KIND_H
#define BISE_QUANT_SOURCE_FILE_KIND_H

#include "src/base/error.h"

enum file_kind { FILE_SAFETENSORS, FILE_TORCH, FILE_GGUF, FILE_BISE };

/* "safetensors" ... */
const char *file_kind_name(enum file_kind kind);
/* Errors: IO; FORMAT, UNSUPPORTED (a git-lfs pointer, a page of HTML, gzip, an unfinished download,
 * old ggml files, anything else: what it is and what to do). */
enum bise_status file_kind_of(const char *path, enum file_kind *kind, struct bise_error *err);
/* Whether the bytes are those of a git-lfs pointer; *size is that of the file it stands for, 0
 * if it does not say. */
bool is_lfs_pointer(const uint8_t *bytes, size_t len, uint64_t *size);
/* Refuses a git-lfs pointer, a page of HTML or gzip in the place of a file; bytes [len] are its
 * first. Errors: FORMAT. */
enum bise_status refuse_stand_in(const char *path, const uint8_t *bytes, size_t len,
                                 struct bise_error *err);
/* Whether a name is that of a download that is not finished. */
bool is_unfinished(const char *name);
/* Whether name begins, ends so, whatever the case of its letters. */
bool begins_with_any_case(const char *name, const char *begin);
bool ends_with_any_case(const char *name, const char *end);

#endif
