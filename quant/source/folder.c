#include "quant/source/folder.h"

#include "quant/source/raw.h"
#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/os/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of shards ---- */

enum { DIGITS = 5 };

static bool take_number(const char *digits, unsigned *out) {
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *out = 10 * *out + (unsigned)(digits[i] - '0');
    }
    return true;
}

bool shard_parse(const char *name, struct shard_name *out) {
    static const char of[] = "-of-";
    const char *at = NULL; /* of the last "-of-" that fits */
    for (const char *p = strstr(name, of); p; p = strstr(p + 1, of))
        if (p - name > DIGITS && p[-DIGITS - 1] == '-' && take_number(p - DIGITS, &out->no) &&
            take_number(p + sizeof of - 1, &out->n))
            at = p;
    if (!at)
        return false;
    take_number(at - DIGITS, &out->no);
    take_number(at + sizeof of - 1, &out->n);
    out->stem = (size_t)(at - DIGITS - 1 - name);
    out->end = at + sizeof of - 1 + DIGITS;
    return out->no >= 1 && out->no <= out->n && out->n <= MAX_SHARDS;
}

bool shard_print(const char *name, const struct shard_name *s, unsigned no, char *out, size_t cap) {
    const int n = snprintf(out, cap, "%.*s-%05u-of-%05u%s", (int)s->stem, name, no, s->n, s->end);
    return n > 0 && (size_t)n < cap;
}

/* ---- what a file is ---- */

#define FIRST_BYTES 512u

/* "safetensors" ... */
static const char *file_kind_name(enum file_kind kind) {
    static const char *const names[] = {[FILE_SAFETENSORS] = "safetensors",
                                        [FILE_TORCH] = "torch",
                                        [FILE_GGUF] = "GGUF",
                                        [FILE_BISE] = ".bise"};
    return names[kind];
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether text [n] begins so, whatever the case of its letters. */
static bool begins(const char *text, size_t n, const char *begin) {
    for (; *begin; begin++, text++, n--)
        if (n == 0 || lower(*text) != lower(*begin))
            return false;
    return true;
}

bool begins_with_any_case(const char *name, const char *begin) {
    return begins(name, strlen(name), begin);
}

/* Whether name ends so, whatever the case of its letters. */
static bool ends_with_any_case(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && begins(name + n - m, m, end);
}

/* Whether a name is that of a download that is not finished. */
static bool is_unfinished(const char *name) {
    static const char *const ends[] = {".incomplete", ".part",     ".crdownload", ".aria2",
                                       ".partial",    ".download", ".tmp"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with_any_case(name, ends[i]))
            return true;
    return false;
}

/* Whether the bytes are those of a git-lfs pointer; *size is that of the file it stands for, 0
 * if it does not say. */
static bool is_lfs_pointer(const uint8_t *bytes, size_t len, uint64_t *size) {
    static const char first[] = "version https://git-lfs.github.com/spec/", field[] = "\nsize ";
    *size = 0;
    if (len < sizeof first - 1 || memcmp(bytes, first, sizeof first - 1) != 0)
        return false;
    for (size_t i = 0; i + sizeof field - 1 < len; i++)
        if (memcmp(bytes + i, field, sizeof field - 1) == 0)
            for (i += sizeof field - 1; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
                *size = *size < UINT64_MAX / 20 ? 10 * *size + (uint64_t)(bytes[i] - '0') : *size;
    return true;
}

enum bise_status refuse_stand_in(const char *path, const uint8_t *bytes, size_t len,
                                 struct bise_error *err) {
    uint64_t size;
    size_t blank = 0;
    if (is_lfs_pointer(bytes, len, &size))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is a git-lfs pointer, not the file of %llu bytes it stands for: `git "
                         "lfs pull` in its folder, or a download, brings that",
                         path, (unsigned long long)size);
    if (len >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is compressed by gzip: unpack it first", path);
    while (blank < len && strchr(" \t\r\n\xef\xbb\xbf", bytes[blank]) && bytes[blank])
        blank++;
    const char *text = (const char *)bytes + blank;
    if (begins(text, len - blank, "<!doctype") || begins(text, len - blank, "<html") ||
        begins(text, len - blank, "<?xml"))
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s is a page of HTML or XML, as a server sends instead of a file (does it "
            "ask for a log-in?): download it again",
            path);
    return BISE_OK;
}

/* Formats from before GGUF. */
static enum bise_status refuse_ggml(const char *path, const uint8_t *bytes, size_t len,
                                    struct bise_error *err) {
    static const char *const magics[] = {"lmgg", "fmgg", "tjgg", "algg"}; /* as they lie there */
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (len >= 4 && memcmp(bytes, magics[i], 4) == 0)
            return bise_fail(err, BISE_ERR_UNSUPPORTED,
                             "%s is a ggml file from before GGUF (August 2023): take the model's "
                             "GGUF file (Q8_0 or F16) or its original checkpoint",
                             path);
    return BISE_OK;
}

/* Whether the bytes begin a safetensors file: the length of a header within the file, then JSON. */
static bool is_safetensors(const uint8_t *bytes, size_t len, uint64_t size) {
    return len > 8 && get_u64(bytes) <= size - 8 && bytes[8] == '{';
}

static bool kind_of_bytes(const uint8_t *bytes, size_t len, uint64_t size, enum file_kind *kind) {
    if (len >= 4 && memcmp(bytes, "GGUF", 4) == 0)
        *kind = FILE_GGUF;
    else if (len >= 4 && memcmp(bytes, "BISE", 4) == 0)
        *kind = FILE_BISE;
    else if (len >= 2 &&
             (memcmp(bytes, "PK", 2) == 0 || (bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5)))
        *kind = FILE_TORCH; /* a zip archive, or the pickle of an older one */
    else if (is_safetensors(bytes, len, size))
        *kind = FILE_SAFETENSORS;
    else
        return false;
    return true;
}

static bool kind_of_name(const char *name, enum file_kind *kind) {
    static const struct {
        const char *end;
        enum file_kind kind;
    } ends[] = {{".safetensors", FILE_SAFETENSORS},
                {".pth", FILE_TORCH},
                {".pt", FILE_TORCH},
                {".bin", FILE_TORCH},
                {".gguf", FILE_GGUF},
                {".bise", FILE_BISE}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with_any_case(name, ends[i].end)) {
            *kind = ends[i].kind;
            return true;
        }
    return false;
}

/* Errors: IO; FORMAT, UNSUPPORTED (a git-lfs pointer, a page of HTML, gzip, an unfinished download,
 * old ggml files, anything else: what it is and what to do). */
static enum bise_status file_kind_of(const char *path, enum file_kind *kind,
                                     struct bise_error *err) {
    uint8_t bytes[FIRST_BYTES] = {0};
    uint64_t size = 0;
    int fd = -1;
    if (is_unfinished(path))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: by its name a download that is not finished: let it finish, or begin "
                         "it again",
                         path);
    enum bise_status s = file_open(path, &fd, &size, err);
    const size_t len = size < sizeof bytes ? (size_t)size : sizeof bytes;
    if (!s)
        s = file_read_at(fd, path, 0, bytes, len, err);
    file_close(&fd);
    if (!s)
        s = refuse_stand_in(path, bytes, len, err);
    if (!s)
        s = refuse_ggml(path, bytes, len, err);
    if (s || kind_of_bytes(bytes, len, size, kind) || kind_of_name(path, kind))
        return s;
    return bise_fail(
        err, BISE_ERR_UNSUPPORTED,
        "%s: expected a folder, a .bise, .safetensors, .pth, .pt, .bin or .gguf file, found a "
        "file of another kind",
        path);
}

/* ---- which files of a folder are weights ---- */

#define MAX_NUMBERED 100 /* consolidated.NN.pt */
#define MAX_NAME     256

/* Sets of weights in the order of preference. An index names the files that make up a set; a stem
 * is what the names of shards begin with, where no index names them. */
static const struct {
    const char *name;
    enum { ONE_FILE, INDEX, STEM } kind;
    enum file_kind files; /* of an index and a stem */
} sets[] = {
    {"model.safetensors.index.json", INDEX, FILE_SAFETENSORS},
    {"model.safetensors", ONE_FILE, 0},
    {"model", STEM, FILE_SAFETENSORS},
    {"consolidated.safetensors", ONE_FILE, 0},
    {"pytorch_model.bin.index.json", INDEX, FILE_TORCH},
    {"pytorch_model.bin", ONE_FILE, 0},
    {"pytorch_model", STEM, FILE_TORCH},
    {"consolidated.00.pth", ONE_FILE, 0},
    {"consolidated.00.pt", ONE_FILE, 0},
};
#define N_SETS (sizeof sets / sizeof *sets)

/* What the names in a folder tell. Of several that tell the same, the first in alphabetical order
 * counts, so that it does not depend on the order of the folder's entries. */
struct names {
    char shard[N_SETS][MAX_NAME]; /* of a set by its stem; "" where there is none */
    char gguf[MAX_NAME];          /* a GGUF file; of a split one the first part */
    char weights[MAX_NAME];       /* of another name than those that are looked for */
    char unfinished[MAX_NAME];    /* a download */
    unsigned n_gguf;              /* parts of a split file count once */
};

bool folder_has(const struct folder *f, const char *name) {
    char path[4096]; /* no allocation: "not there" must never mean "no memory" */
    const int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
    return n > 0 && (size_t)n < sizeof path && file_exists(path);
}

enum bise_status folder_read(const struct folder *f, const char *name, size_t max, uint8_t **data,
                             size_t *len, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    char *path = file_join(f->path, name);
    *data = NULL;
    *len = 0;
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", name);
    if (file_exists(path))
        s = file_read_whole(path, max, data, len, err);
    if (!s && *data)
        s = refuse_stand_in(path, *data, *len, err);
    if (s) {
        free(*data);
        *data = NULL;
    }
    free(path);
    return s;
}

enum bise_status folder_read_json(const struct folder *f, const char *name, struct json **out,
                                  struct bise_error *err) {
    uint8_t *text = NULL;
    size_t len = 0;
    *out = NULL;
    enum bise_status s = folder_read(f, name, CONFIG_MAX_BYTES, &text, &len, err);
    char *path = text ? file_join(f->path, name) : NULL;
    if (text)
        s = path ? json_parse(out, (const char *)text, len, path, err)
                 : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", name);
    free(path);
    free(text);
    return s;
}

/* Adds folder/name to the weights; a name already there is fine. */
static enum bise_status add_weights(struct folder *f, const char *name, struct bise_error *err) {
    enum file_kind kind;
    for (size_t i = 0; i < f->n_weights; i++)
        if (strcmp(file_base(f->weights[i]), name) == 0)
            return BISE_OK;
    if (f->n_weights == MAX_SHARDS)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected at most %u files of weights", f->path,
                         MAX_SHARDS);
    char *path = file_join(f->path, name);
    if (!path || !array_grow(&f->weights, &f->cap_weights, f->n_weights + 1, sizeof *f->weights)) {
        free(path);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the list of files", f->path);
    }
    f->weights[f->n_weights++] = path;
    const enum bise_status s = file_kind_of(path, &kind, err);
    if (s)
        return s;
    if (!f->kind_known)
        f->kind = kind;
    f->kind_known = true;
    if (kind != f->kind)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a %s file as its set is made of, found a %s file", path,
                         file_kind_name(f->kind), file_kind_name(kind));
    return BISE_OK;
}

static enum bise_status missing_shard(const struct folder *f, const char *name, const char *why,
                                      struct bise_error *err) {
    char unfinished[MAX_NAME + 16];
    snprintf(unfinished, sizeof unfinished, "%s.incomplete", name);
    return bise_fail(err, BISE_ERR_FORMAT, "%s: missing shard %.128s (%s)%s", f->path, name, why,
                     folder_has(f, unfinished) ? ": its download is not finished" : "");
}

/* The shards that the file `name` lists. */
static enum bise_status add_indexed(struct folder *f, const char *name, struct bise_error *err) {
    struct json *index;
    char why[MAX_NAME + 16];
    enum bise_status s = folder_read_json(f, name, &index, err);
    if (s)
        return s;
    snprintf(why, sizeof why, "%s names it", name);
    const struct json_value *map = json_get(json_root(index), "weight_map");
    if (!json_first(map) || map->kind != JSON_OBJECT)
        s = bise_fail(err, BISE_ERR_FORMAT, "%s/%s: expected a weight_map with tensors, found %s",
                      f->path, name, json_describe(map));
    for (const struct json_value *v = json_first(map); v && !s; v = json_next(map, v)) {
        if (v->kind != JSON_STRING || v->len == 0 || v->len >= MAX_NAME || strchr(v->string, '/'))
            s = bise_fail(err, BISE_ERR_FORMAT,
                          "%s/%s: %.64s: expected the name of a file in the folder, found %.64s",
                          f->path, name, v->key,
                          v->kind == JSON_STRING ? v->string : json_describe(v));
        else if (!folder_has(f, v->string))
            s = missing_shard(f, v->string, why, err);
        else
            s = add_weights(f, v->string, err);
    }
    json_close(&index);
    return s;
}

/* All shards of the set that one named `name` belongs to. */
static enum bise_status add_shards(struct folder *f, const char *name, struct bise_error *err) {
    struct shard_name shard;
    enum bise_status s = BISE_OK;
    if (!shard_parse(name, &shard))
        return add_weights(f, name, err);
    for (unsigned i = 1; i <= shard.n && !s; i++) {
        char other[MAX_NAME], why[MAX_NAME + 32];
        snprintf(why, sizeof why, "%s is one of %u", name, shard.n);
        if (!shard_print(name, &shard, i, other, sizeof other))
            s = bise_fail(err, BISE_ERR_FORMAT, "%s/%s: the name is too long", f->path, name);
        else
            s = folder_has(f, other) ? add_weights(f, other, err)
                                     : missing_shard(f, other, why, err);
    }
    return s;
}

/* consolidated.00.pt and those that follow it: each holds other tensors, whole ones. */
static enum bise_status add_numbered(struct folder *f, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    unsigned last = MAX_NUMBERED;
    char name[32];
    do
        snprintf(name, sizeof name, "consolidated.%02u.pt", --last);
    while (last > 0 && !folder_has(f, name));
    for (unsigned i = 0; i <= last && !s; i++) {
        snprintf(name, sizeof name, "consolidated.%02u.pt", i);
        s = folder_has(f, name) ? add_weights(f, name, err)
                                : bise_fail(err, BISE_ERR_FORMAT, "%s: missing %s", f->path, name);
    }
    return s;
}

/* ---- what the names in a folder tell ---- */

static bool is_weights(const char *name) {
    static const char *const ends[] = {".safetensors", ".pth", ".bin", ".pt"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with_any_case(name, ends[i]))
            return true;
    return false;
}

/* Keeps the first of two names; true where it is the first one at all. */
static bool keep_first(char kept[MAX_NAME], const char *name) {
    const bool none = !kept[0];
    if (none || strcmp(name, kept) < 0)
        memcpy(kept, name, strlen(name) + 1);
    return none;
}

static bool see_name(void *arg, const char *name) {
    struct names *n = arg;
    struct shard_name shard = {0};
    const bool is_shard = shard_parse(name, &shard);
    if (strlen(name) >= MAX_NAME)
        return true;
    if (ends_with_any_case(name, ".gguf")) {
        n->n_gguf += !is_shard || shard.no == 1;
        keep_first(n->gguf, name);
    } else if (is_unfinished(name)) {
        keep_first(n->unfinished, name);
    } else if (is_weights(name)) {
        keep_first(n->weights, name);
    }
    for (size_t i = 0; i < N_SETS; i++)
        if (sets[i].kind == STEM && is_shard && is_weights(name) &&
            strlen(sets[i].name) == shard.stem && memcmp(name, sets[i].name, shard.stem) == 0)
            keep_first(n->shard[i], name);
    return true;
}

/* No weights under a name that we know: says what is there instead. */
static enum bise_status nothing_found(const struct folder *f, const struct names *n,
                                      struct bise_error *err) {
    if (folder_has(f, "adapter_config.json") || folder_has(f, "adapter_model.safetensors") ||
        folder_has(f, "adapter_model.bin"))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s holds a LoRA adapter alone: merge it into its base model first "
                         "(adapter_config.json names that), and quantize the result",
                         f->path);
    if (n->unfinished[0])
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: no weights but %s, a download that is not finished", f->path,
                         n->unfinished);
    if (n->n_gguf > 1)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s holds %u GGUF files: give the one to read, as %s/%s", f->path,
                         n->n_gguf, f->path, n->gguf);
    return bise_fail(
        err, n->weights[0] ? BISE_ERR_UNSUPPORTED : BISE_ERR_FORMAT,
        "%s: expected model.safetensors, pytorch_model.bin or their shards, "
        "consolidated.safetensors, consolidated.00.pth or consolidated.00.pt, or one .gguf file, "
        "found %s",
        f->path, n->weights[0] ? n->weights : "no weights");
}

static bool has_set(const struct folder *f, const struct names *n, size_t i) {
    return sets[i].kind == STEM ? n->shard[i][0] != 0 : folder_has(f, sets[i].name);
}

static enum bise_status find_weights(struct folder *f, struct note *note, struct bise_error *err) {
    struct names names = {0};
    size_t taken = N_SETS;
    enum bise_status s = folder_list(f->path, see_name, &names, err);
    for (size_t i = 0; i < N_SETS && !s; i++) {
        if (!has_set(f, &names, i))
            continue;
        if (taken == N_SETS)
            taken = i;
        else if (sets[i].kind != STEM) /* mostly the shards that an index names */
            note_add(note, "%s holds two sets of weights: %s%s taken, %s is left out", f->path,
                     sets[taken].kind != ONE_FILE ? "the shards" : sets[taken].name,
                     sets[taken].kind != ONE_FILE ? " are" : " is", sets[i].name);
    }
    if (s)
        return s;
    if (taken < N_SETS && sets[taken].kind != ONE_FILE) {
        f->kind = sets[taken].files;
        f->kind_known = true;
    }
    if (taken == N_SETS)
        return names.n_gguf == 1 ? add_shards(f, names.gguf, err) : nothing_found(f, &names, err);
    if (folder_has(f, "consolidated.01.pth") && strstr(sets[taken].name, ".pth"))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: expected one consolidated.00.pth, found matrices split over several",
                         f->path);
    if (ends_with(sets[taken].name, ".pt"))
        return add_numbered(f, err);
    if (sets[taken].kind == STEM)
        return add_shards(f, names.shard[taken], err);
    return sets[taken].kind == INDEX ? add_indexed(f, sets[taken].name, err)
                                     : add_weights(f, sets[taken].name, err);
}

enum bise_status folder_open(struct folder *f, const char *path, struct note *note,
                             struct bise_error *err) {
    enum bise_status s;
    *f = (struct folder){0};
    if (!file_exists(path))
        return bise_fail(err, BISE_ERR_IO, "%s: %s", path, strerror(errno));
    const bool is_folder = file_is_folder(path);
    const size_t n = is_folder ? strlen(path) : (size_t)(file_base(path) - path);
    f->path = n > 0 ? strndup(path, n) : strdup(".");
    if (!f->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    for (size_t end = strlen(f->path); end > 1 && f->path[end - 1] == '/'; end--)
        f->path[end - 1] = 0;
    s = is_folder ? find_weights(f, note, err) : add_shards(f, file_base(path), err);
    if (!s && !is_folder && f->n_weights > 1)
        note_add(note, "%s is one of %zu parts: all of them are read", file_base(path),
                 f->n_weights);
    if (s)
        folder_close(f);
    return s;
}

void folder_close(struct folder *f) {
    for (size_t i = 0; i < f->n_weights; i++)
        free(f->weights[i]);
    free(f->weights);
    free(f->path);
    *f = (struct folder){0};
}
