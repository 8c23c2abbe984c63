/* Faults while a tokenizer is opened and used. */
#include "src/text/tokenizer.h"
#include "quant/source/tokenizer_files.h"
#include "tests/fault/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *model;
static size_t model_len;

static bool setup(const char *dir) {
    (void)dir;
    model = fault_read_file("tests/data/demo/tokenizer.model", &model_len);
    return model != NULL;
}

static bool write_file(const char *dir, const char *name, const void *data, size_t len) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    const bool written = f && fwrite(data, 1, len, f) == len;
    return f && fclose(f) == 0 && written;
}

static bool setup_files(const char *dir) {
    static const char added[] = "{\"</s>\": 2, \"<|im_start|>\": 4097}";
    static const char config[] = "{\"add_bos_token\": false, \"legacy\": false}";
    return setup(dir) && write_file(dir, "tokenizer.model", model, model_len) &&
           write_file(dir, "added_tokens.json", added, sizeof added - 1) &&
           write_file(dir, "tokenizer_config.json", config, sizeof config - 1);
}

static void teardown(void) {
    free(model);
    model = NULL;
}

static enum bise_status run(const char *dir, struct bise_error *err) {
    (void)dir;
    static const char text[] = "The old king looked at the troll, \xe2\x82\xac 5.";
    struct tokenizer *t = NULL;
    int32_t ids[64];
    size_t n_ids = 0, n_bytes = 0;
    enum bise_status status = tokenizer_open(&t, model, model_len, "tokenizer.model", err);
    if (status == BISE_OK)
        status = tokenizer_encode(t, text, sizeof text - 1, true, ids, 64, &n_ids, err);
    if (status == BISE_OK) {
        char back[256];
        for (size_t i = 0; i < n_ids && i < 64; i++) {
            size_t len;
            const char *piece = tokenizer_piece(t, ids[i], &len);
            if (n_bytes + len <= sizeof back)
                memcpy(back + n_bytes, piece, len);
            n_bytes += len;
        }
        /* The dummy prefix is the first byte. */
        if (n_bytes != sizeof text || memcmp(back + 1, text, sizeof text - 1) != 0)
            status = BISE_STATUS_COUNT;
    }
    tokenizer_close(&t);
    return status;
}

/* The files beside the model add a token and a gap. */
static enum bise_status run_files(const char *dir, struct bise_error *err) {
    char path[512];
    struct tokenizer_files files;
    snprintf(path, sizeof path, "%s/tokenizer.model", dir);
    enum bise_status status = tokenizer_files_open(&files, path, NULL, 5000, NULL, err);
    if (status == BISE_OK && tokenizer_find(files.tokenizer, "<|im_start|>", 12) != 4097)
        status = BISE_STATUS_COUNT;
    tokenizer_files_close(&files);
    return status;
}

const struct scenario tokenizer_scenarios[] = {
    {"tokenizer", setup, run, NULL, teardown, MEETS(MALLOC)},
    {"tokenizer_files", setup_files, run_files, NULL, teardown,
     MEETS(MALLOC) | MEETS(OPEN) | MEETS(READ)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
