/* Which files of a folder make up a checkpoint. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_FOLDER_H
#define BISE_QUANT_SOURCE_FOLDER_H

#include "src/base/error.h"

#define CONFIG_MAX_BYTES (16u << 20) /* of config.json and its like */

/* Lines for the user, bounded; what does not fit is left out. */
struct note {
    char *text;
    size_t cap, len;
};
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void note_add(struct note *note, const char *fmt, ...);

struct folder {
    char *path;     /* the folder */
    char **weights; /* [n_weights] paths */
    size_t n_weights;
};

/* path: a folder, or one file of weights in it. Where both a Hugging Face set and a consolidated
 * file lie there, takes the first and says so. Errors: IO, FORMAT (a missing shard: named),
 * UNSUPPORTED (weights of a kind that is not read: named), MEMORY. */
enum bise_status folder_open(struct folder *f, const char *path, struct note *note,
                             struct bise_error *err);
void folder_close(struct folder *f);

struct json;
/* Parses folder/name. *out is NULL, with BISE_OK, if there is no such file. Errors: as
 * file_read_whole and json_parse. */
enum bise_status folder_read_json(const struct folder *f, const char *name, struct json **out,
                                  struct bise_error *err);
/* Whether folder/name is there. */
bool folder_has(const struct folder *f, const char *name);

#endif
