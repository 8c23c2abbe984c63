/* Faults while a .bise file is written: nothing that looks finished may be left. */
#include "quant/write/writer.h"
#include "tests/fault/fault.h"
#include "tests/unit/tiny_model.h"

#include <sys/stat.h>

static const struct writer_tensor tensors[] = {
    {"norm", TYPE_F32, 1, 200, true},
    {"output", TYPE_I4, 40, 200, false},
    {"tok_embeddings", TYPE_I8, 40, 200, false},
};
#define N_TENSORS (sizeof tensors / sizeof tensors[0])

static void out_path(const char *dir, char *path, size_t cap) {
    snprintf(path, cap, "%s/out.bise", dir);
}

static bool left_behind(const char *dir) {
    return fault_file_exists(dir, "out.bise");
}

/* Writes a tensor in two pieces, the second first. */
static enum bise_status put_tensor(struct writer *w, size_t i, struct bise_error *err) {
    static uint8_t bytes[65536];
    const size_t n = (size_t)writer_tensor_bytes(w, i), half = n / 2;
    memset(bytes, 42 + (int)i, n);
    enum bise_status status = writer_put(w, i, half, bytes + half, n - half, err);
    if (status == BISE_OK)
        status = writer_put(w, i, 0, bytes, half, err);
    writer_set_tensor(w, i, NULL, 0.0f);
    return status;
}

static enum bise_status run(const char *dir, struct bise_error *err) {
    const struct model_config config = tiny_config();
    char path[4096];
    struct writer *w = NULL;
    struct stat st;
    out_path(dir, path, sizeof path);
    enum bise_status status = writer_open(&w, path,
                                          &(struct writer_plan){.config = &config,
                                                                .provenance = &tiny_provenance,
                                                                .tokenizer = "tokenizer",
                                                                .tokenizer_len = 9,
                                                                .tensors = tensors,
                                                                .n_tensors = N_TENSORS},
                                          err);
    const uint64_t bytes = status == BISE_OK ? writer_file_bytes(w) : 0;
    for (size_t i = 0; i < N_TENSORS && status == BISE_OK; i++)
        status = put_tensor(w, i, err);
    if (status == BISE_OK && left_behind(dir))
        status = BISE_STATUS_COUNT; /* not before it is finished */
    if (status == BISE_OK)
        status = writer_finish(&w, err);
    writer_abort(&w);
    if (status == BISE_OK) {
        fault_exempt(true);
        if (stat(path, &st) != 0 || (uint64_t)st.st_size != bytes)
            status = BISE_STATUS_COUNT;
        fault_exempt(false);
        remove(path);
    }
    return status;
}

/* A first writer stops after two tensors, a second one finishes. What a fault leaves for the next
 * run is removed here. */
static enum bise_status run_resumed(const char *dir, struct bise_error *err) {
    const struct model_config config = tiny_config();
    char path[4096], part[4096 + 16], journal[4096 + 32];
    enum bise_status status = BISE_OK;
    out_path(dir, path, sizeof path);
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(journal, sizeof journal, "%s.journal", part);
    for (int attempt = 0; attempt < 2 && status == BISE_OK; attempt++) {
        struct writer *w = NULL;
        status = writer_open(&w, path,
                             &(struct writer_plan){.config = &config,
                                                   .tokenizer = "tokenizer",
                                                   .tokenizer_len = 9,
                                                   .tensors = tensors,
                                                   .n_tensors = N_TENSORS,
                                                   .kind = WRITER_RESUMABLE,
                                                   .source = 42},
                             err);
        if (status != BISE_OK && attempt && !fault_file_exists(dir, "out.bise.part.journal"))
            status = BISE_STATUS_COUNT; /* what was finished must not be lost */
        if (status == BISE_OK && writer_finished(w) > (attempt ? 2u : 0u))
            status = BISE_STATUS_COUNT;
        for (size_t i = 0; i < (attempt ? N_TENSORS : 2) && status == BISE_OK; i++) {
            if (writer_has_tensor(w, i))
                continue;
            status = put_tensor(w, i, err);
            if (status == BISE_OK)
                status = writer_tensor_done(w, i, err);
        }
        if (status == BISE_OK && attempt)
            status = writer_finish(&w, err);
        writer_suspend(&w);
    }
    if (status == BISE_OK &&
        (!left_behind(dir) || fault_file_exists(dir, "out.bise.part") ||
         (fault_file_exists(dir, "out.bise.part.journal") && !fault_may_leave())))
        status = BISE_STATUS_COUNT;
    if (status == BISE_OK)
        remove(path);
    remove(part);
    remove(journal);
    return status;
}

const struct scenario writer_scenarios[] = {
    {"writer_resumed", NULL, run_resumed, left_behind, NULL,
     MEETS_NEW_FILE | MEETS(READ) | MEETS(FLOCK) | MEETS(FALLOCATE) | MEETS(FTRUNCATE) |
         MEETS(UNLINK)},
    {"writer", NULL, run, left_behind, NULL,
     MEETS_NEW_FILE | MEETS(FALLOCATE) | MEETS(FTRUNCATE) | MEETS(FCHMOD)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
