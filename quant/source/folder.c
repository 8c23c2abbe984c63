#include "quant/source/folder.h"

#include "quant/source/raw.h"
#include "src/base/json.h"
#include "src/os/file.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sets of weights in the order of preference. An index names the files that make up a set. */
static const struct {
    const char *name;
    bool is_index;
} sets[] = {
    {"model.safetensors.index.json", true}, {"model.safetensors", false},
    {"consolidated.safetensors", false},    {"pytorch_model.bin.index.json", true},
    {"pytorch_model.bin", false},           {"consolidated.00.pth", false},
    {"consolidated.00.pt", false},
};
#define N_SETS       (sizeof sets / sizeof *sets)
#define MAX_NUMBERED 100 /* consolidated.NN.pt */

void note_add(struct note *note, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(note->text + note->len, note->cap - note->len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= note->cap - note->len) {
        note->text[note->len] = 0;
        return;
    }
    note->len += (size_t)n;
    note->text[note->len++] = '\n';
    note->text[note->len] = 0;
}

bool folder_has(const struct folder *f, const char *name) {
    char path[4096]; /* no allocation: "not there" must never mean "no memory" */
    const int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
    return n > 0 && (size_t)n < sizeof path && file_exists(path);
}

enum bise_status folder_read_json(const struct folder *f, const char *name, struct json **out,
                                  struct bise_error *err) {
    uint8_t *text = NULL;
    size_t len = 0;
    enum bise_status s = BISE_OK;
    char *path = file_join(f->path, name);
    *out = NULL;
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", name);
    if (!file_exists(path))
        goto done;
    s = file_read_whole(path, CONFIG_MAX_BYTES, &text, &len, err);
    if (!s)
        s = json_parse(out, (const char *)text, len, path, err);
done:
    free(text);
    free(path);
    return s;
}

/* Adds folder/name to the weights; a name already there is fine. */
static enum bise_status add_weights(struct folder *f, const char *name, struct bise_error *err) {
    for (size_t i = 0; i < f->n_weights; i++)
        if (strcmp(file_base(f->weights[i]), name) == 0)
            return BISE_OK;
    char **grown = realloc(f->weights, (f->n_weights + 1) * sizeof *grown);
    char *path = file_join(f->path, name);
    if (grown)
        f->weights = grown;
    if (!grown || !path) {
        free(path);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the list of files", f->path);
    }
    f->weights[f->n_weights++] = path;
    return BISE_OK;
}

/* The shards that the file `name` lists. */
static enum bise_status add_shards(struct folder *f, const char *name, struct bise_error *err) {
    struct json *index;
    enum bise_status s = folder_read_json(f, name, &index, err);
    if (s)
        return s;
    const struct json_value *map = json_get(json_root(index), "weight_map");
    if (!json_first(map) || map->kind != JSON_OBJECT)
        s = bise_fail(err, BISE_ERR_FORMAT, "%s/%s: expected a weight_map with tensors, found %s",
                      f->path, name, json_describe(map));
    for (const struct json_value *v = json_first(map); v && !s; v = json_next(map, v)) {
        if (v->kind != JSON_STRING || v->len == 0 || strchr(v->string, '/'))
            s = bise_fail(err, BISE_ERR_FORMAT,
                          "%s/%s: %.64s: expected the name of a file in the folder, found %.64s",
                          f->path, name, v->key,
                          v->kind == JSON_STRING ? v->string : json_describe(v));
        else if (!folder_has(f, v->string))
            s = bise_fail(err, BISE_ERR_FORMAT, "%s: missing shard %.128s (%s names it)", f->path,
                          v->string, name);
        else
            s = add_weights(f, v->string, err);
    }
    json_close(&index);
    return s;
}

/* Whether name is that of a single file of weights that is read. */
static bool is_weights(const char *name) {
    static const char *const ends[] = {".safetensors", ".pth", ".bin", ".gguf", ".pt"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i]))
            return true;
    return false;
}

/* Copies the first name of weights into found [128]. */
static bool find_weights_name(void *found, const char *name) {
    if (is_weights(name))
        snprintf(found, 128, "%.120s", name);
    return !is_weights(name);
}

/* No weights under a name that we know: says what is there instead. */
static enum bise_status nothing_found(const struct folder *f, struct bise_error *err) {
    char found[128] = "";
    const enum bise_status s = folder_list(f->path, find_weights_name, found, err);
    if (s)
        return s;
    return bise_fail(
        err, found[0] ? BISE_ERR_UNSUPPORTED : BISE_ERR_FORMAT,
        "%s: expected model.safetensors, pytorch_model.bin or an index of their "
        "shards, consolidated.safetensors, consolidated.00.pth or consolidated.00.pt, found "
        "%s",
        f->path, found[0] ? found : "no weights");
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

static enum bise_status find_weights(struct folder *f, struct note *note, struct bise_error *err) {
    size_t taken = N_SETS;
    for (size_t i = 0; i < N_SETS; i++) {
        if (!folder_has(f, sets[i].name))
            continue;
        if (taken == N_SETS)
            taken = i;
        else
            note_add(note, "%s holds two sets of weights: %s%s taken, %s is left out", f->path,
                     sets[taken].is_index ? "the shards" : sets[taken].name,
                     sets[taken].is_index ? " are" : " is", sets[i].name);
    }
    if (taken == N_SETS)
        return nothing_found(f, err);
    if (folder_has(f, "consolidated.01.pth") && strstr(sets[taken].name, ".pth"))
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: expected one consolidated.00.pth, found matrices split over several",
                         f->path);
    if (ends_with(sets[taken].name, ".pt"))
        return add_numbered(f, err);
    return sets[taken].is_index ? add_shards(f, sets[taken].name, err)
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
    if (is_folder)
        s = find_weights(f, note, err);
    else if (is_weights(path))
        s = add_weights(f, file_base(path), err);
    else
        s = bise_fail(
            err, BISE_ERR_UNSUPPORTED,
            "%s: expected a folder, a .safetensors, .pth, .pt, .bin or .gguf file, found a file of "
            "another kind",
            path);
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
