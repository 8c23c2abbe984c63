/*
 * Any bytes as a folder with a checkpoint in it: several files, of any kind, opened as bise
 * quantize opens it, and all rows read. The input is a list of files: a byte that picks a name
 * (below), three for the length, little-endian, the bytes; what is left over belongs to the last.
 * A first byte says what is opened: 0 the folder, n the nth file.
 */
#include "quant/source/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES  12
#define MAX_FLOATS ((size_t)1 << 16) /* read at once */
#define MAX_READ   ((size_t)1 << 20) /* values of an input that are read: files are short */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "config.json",
    "params.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "a.safetensors",
    "b.safetensors",
    "consolidated.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "a.bin",
    "b.bin",
    "consolidated.00.pth",
    "consolidated.00.pt",
    "consolidated.01.pt",
    "a.gguf",
    "b.gguf",
    "generation_config.json",
    "tokenizer.model",
    "tokenizer.json",
    "added_tokens.json",
    "m-00001-of-00002.gguf",
    "m-00002-of-00002.gguf",
    "model.bise",
};
#define N_NAMES (sizeof names / sizeof names[0])

static char folder[64];

static void remove_folder(void) {
    rmdir(folder);
}

static void open_folder(void) {
    const char *const root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/bise-fuzz.XXXXXX", root);
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
}

static void write_file(const char *name, const uint8_t *bytes, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

/* Reads every row; a value that is accepted is a number. */
static void read_rows(const struct source *s) {
    static float rows[MAX_FLOATS];
    size_t n, left = MAX_READ;
    const struct source_tensor *t = source_tensors(s, &n);
    struct bise_error err;
    for (size_t i = 0; i < n; i++)
        for (uint32_t row = 0, count; row < t[i].rows; row += count) {
            const size_t fit = t[i].cols <= MAX_FLOATS ? MAX_FLOATS / t[i].cols : 0;
            if (fit == 0 || left < t[i].cols)
                return;
            count = t[i].rows - row < fit ? t[i].rows - row : (uint32_t)fit;
            count = count < left / t[i].cols ? count : (uint32_t)(left / t[i].cols);
            const size_t values = (size_t)count * t[i].cols;
            left -= values;
            if (source_read_rows(s, i, row, count, rows, &err) != BISE_OK)
                break;
            for (size_t v = 0; v < values; v++)
                if (!isfinite(rows[v]))
                    abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *written[MAX_FILES];
    size_t n_written = 0, at = 1;
    char path[256], note[2048];
    if (!folder[0])
        open_folder();
    if (size < 1)
        return 0;
    while (at + 4 <= size && n_written < MAX_FILES) {
        const char *const name = names[data[at] % N_NAMES];
        size_t len = data[at + 1] | (size_t)data[at + 2] << 8 | (size_t)data[at + 3] << 16;
        at += 4;
        len = len < size - at ? len : size - at;
        write_file(name, data + at, len);
        written[n_written++] = name;
        at += len;
    }
    const size_t asked = data[0];
    snprintf(path, sizeof path, "%s%s%s", folder, asked ? "/" : "",
             asked && n_written ? written[(asked - 1) % n_written] : "");
    struct source *s = NULL;
    struct bise_error err = {0};
    if (source_open(&s, path, note, sizeof note, &err) == BISE_OK)
        read_rows(s);
    else if (err.detail[0] == 0)
        abort();
    source_close(&s);
    for (size_t i = 0; i < n_written; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, written[i]);
        unlink(path);
    }
    return 0;
}
