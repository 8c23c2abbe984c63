/* Faults while a tokenizer is opened and used. */
#include "src/text/tokenizer.h"
#include "quant/source/added_tokens.h"
#include "tests/fault/fault.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *model;
static size_t model_len;

static bool setup(const char *dir) {
    (void)dir;
    model = fault_read_file("tests/data/demo/tokenizer.model", &model_len);
    return model != NULL;
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

/* A copy of the model grows by a token and a gap. */
static enum bise_status run_added(const char *dir, struct bise_error *err) {
    (void)dir;
    static const char json[] = "{\"</s>\": 2, \"<|im_start|>\": 4097}";
    struct tokenizer *t = NULL;
    struct added_tokens added;
    size_t len = model_len;
    uint8_t *copy = malloc(len);
    enum bise_status status = copy ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "no memory");
    if (status == BISE_OK) {
        memcpy(copy, model, len);
        status = tokenizer_open(&t, copy, len, "tokenizer.model", err);
    }
    if (status == BISE_OK)
        status = added_tokens_append(&copy, &len, t, json, sizeof json - 1, "added_tokens.json",
                                     5000, &added, err);
    tokenizer_close(&t);
    if (status == BISE_OK)
        status = tokenizer_open(&t, copy, len, "tokenizer.model", err);
    if (status == BISE_OK && tokenizer_find(t, "<|im_start|>", 12) != 4097)
        status = BISE_STATUS_COUNT;
    tokenizer_close(&t);
    free(copy);
    return status;
}

const struct scenario tokenizer_scenarios[] = {
    {"tokenizer", setup, run, NULL, teardown, MEETS(MALLOC)},
    {"added_tokens", setup, run_added, NULL, teardown, MEETS(MALLOC)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
