/* Writes a .bise file: the tensor list is fixed first, so that threads may write tensors in any
 * order at their final offsets. The file appears under its name only when finished: it is written
 * as PATH.bise-tmp-PID in the same folder, synced, renamed. */
#ifndef BISE_QUANT_WRITE_WRITER_H
#define BISE_QUANT_WRITE_WRITER_H

#include "src/model/model.h"

struct writer;

struct writer_tensor {
    const char *name;
    enum tensor_type type;
    uint32_t rows, cols;
    bool is_vector;
};

enum writer_kind {
    WRITER_NEW,       /* lost by a kill */
    WRITER_RESUMABLE, /* kept by a kill and by writer_suspend; the next writer_open goes on */
    WRITER_NAMELESS   /* for this process alone: gone when it ends, however it ends */
};

/* What a writer is opened with; everything is copied. */
struct writer_plan {
    const struct model_config *config;
    const struct provenance *provenance; /* NULL: none */
    const void *tokenizer;               /* [tokenizer_len]; NULL: none */
    size_t tokenizer_len;
    const struct writer_tensor *tensors; /* [n_tensors] */
    size_t n_tensors;
    enum writer_kind kind;
    uint64_t source; /* resumable: a number for what the file is made from */
};

/* Plans the file and creates the temporary one, after checking that the disk has room for it.
 * A resumable one is PATH.part and its journal: found again by the next call of the same plan, with
 * the tensors that were finished, their bytes read and compared with their checksums; with another
 * plan all begins anew. A nameless one is opened under writer_temp_path, and never finished.
 * Errors: ARG, IO, DISK, MEMORY. */
enum bise_status writer_open(struct writer **out, const char *path, const struct writer_plan *plan,
                             struct bise_error *err);
/* Length of the file that writer_open would make. Errors: ARG, MEMORY. */
enum bise_status writer_measure(uint64_t *file_bytes, const struct writer_plan *plan,
                                struct bise_error *err);
/* Whether tensor i is there whole, from an earlier run or this one, and how many are. */
bool writer_has_tensor(const struct writer *w, size_t i);
size_t writer_finished(const struct writer *w);
/* Whether another process is kept from writing the same file; not where the file system knows no
 * locks. */
bool writer_is_locked(const struct writer *w);
/* After the last byte of tensor i and writer_set_tensor: it need not be written again after a kill.
 * By one thread. Errors: ARG (bytes are missing), IO, DISK. */
enum bise_status writer_tensor_done(struct writer *w, size_t i, struct bise_error *err);
/* Length in the file of tensor i, and of the whole file. */
uint64_t writer_tensor_bytes(const struct writer *w, size_t i);
uint64_t writer_file_bytes(const struct writer *w);
/* Writes bytes [at, at + len) of tensor i. Different ranges may be written by different threads.
 * The CRC of a tensor is combined from its ranges at finish, whatever their order. */
enum bise_status writer_put(struct writer *w, size_t i, uint64_t at, const void *data, size_t len,
                            struct bise_error *err);
/* Facts that go into the table at finish. Not thread-safe for the same i. codebook may be NULL. */
void writer_set_tensor(struct writer *w, size_t i, const int8_t *codebook, float error);
/* Puts the header down, so that the file can be opened under writer_temp_path before it gets its
 * name. Fails if a byte of any tensor is missing. */
enum bise_status writer_seal(struct writer *w, struct bise_error *err);
/* Exchanges the evaluation for a text of at most its length; what is over is cut, what is missing
 * is filled with spaces. */
void writer_set_evaluation(struct writer *w, const char *text);
/* Fails if a byte of any tensor is missing. On failure the temporary file is removed, or, of a
 * resumable writer, kept. Frees w. */
enum bise_status writer_finish(struct writer **w, struct bise_error *err);
/* Closes a resumable writer and keeps what it has. */
void writer_suspend(struct writer **w);
/* Removes the temporary file. Accepts NULL and a pointer to NULL. */
void writer_abort(struct writer **w);
/* Path of the temporary file, for a signal handler to unlink; valid until finish or abort. */
const char *writer_temp_path(const struct writer *w);

#endif
