/* Which files of a folder make up a checkpoint; what a file is, by its first bytes and, where those
 * say nothing, by its name; and what people have in a model's place that is none. Internal to
 * quant/source. */
#ifndef BISE_QUANT_SOURCE_FOLDER_H
#define BISE_QUANT_SOURCE_FOLDER_H

#include "quant/source/note.h"
#include "src/base/error.h"

#define CONFIG_MAX_BYTES (16u << 20) /* of config.json and its like */

enum file_kind { FILE_SAFETENSORS, FILE_TORCH, FILE_GGUF, FILE_BISE };

struct folder {
    char *path;     /* the folder */
    char **weights; /* [n_weights] paths */
    size_t n_weights, cap_weights;
    enum file_kind kind; /* of all of them */
    bool kind_known;
};

/* path: a folder, or one file of weights in it. Where both a Hugging Face set and a consolidated
 * file lie there, takes the first and says so; of a shard, takes the set it belongs to. Every file
 * is of one kind. Errors: IO, FORMAT (a missing shard: named; a shard of another kind), UNSUPPORTED
 * (weights of a kind that is not read: named), MEMORY. */
enum bise_status folder_open(struct folder *f, const char *path, struct note *note,
                             struct bise_error *err);
void folder_close(struct folder *f);

struct json;
/* Parses folder/name. *out is NULL, with BISE_OK, if there is no such file. Errors: as
 * file_read_whole and json_parse; FORMAT (a git-lfs pointer in its place). */
enum bise_status folder_read_json(const struct folder *f, const char *name, struct json **out,
                                  struct bise_error *err);
/* Whether folder/name is there. */
bool folder_has(const struct folder *f, const char *name);
/* The whole file folder/name of at most max bytes; *data is NULL, with BISE_OK, if there is
 * none. */
enum bise_status folder_read(const struct folder *f, const char *name, size_t max, uint8_t **data,
                             size_t *len, struct bise_error *err);

/* Refuses a git-lfs pointer, a page of HTML or gzip in the place of a file; bytes [len] are its
 * first. Errors: FORMAT. */
enum bise_status refuse_stand_in(const char *path, const uint8_t *bytes, size_t len,
                                 struct bise_error *err);
/* Whether name begins so, whatever the case of its letters. */
bool begins_with_any_case(const char *name, const char *begin);

#define MAX_SHARDS 1000u

/* A file of a set, NAME-00002-of-00003.safetensors, its name taken apart: its first `stem` bytes,
 * "-", no, "-of-", n, and end (".safetensors"). */
struct shard_name {
    size_t stem;
    unsigned no, n;  /* 1 <= no <= n <= MAX_SHARDS */
    const char *end; /* inside the name */
};

bool shard_parse(const char *name, struct shard_name *out);
/* The name of shard number no of the same set. out [cap]; false where it does not fit. */
bool shard_print(const char *name, const struct shard_name *s, unsigned no, char *out, size_t cap);

#endif
