/* A writer's insides, shared by writer.c (its opening), writer_put.c (its tensors) and
 * writer_resume.c (what earlier runs left). */
#ifndef BISE_QUANT_WRITE_WRITER_IMPL_H
#define BISE_QUANT_WRITE_WRITER_IMPL_H

#include "quant/write/part_journal.h"
#include "quant/write/writer.h"
#include "src/model/format.h"
#include "src/os/mutex.h"
#include "src/os/new_file.h"

/* Bytes [from, to) of a tensor that are on their way to the disk, and their CRC. */
struct range {
    uint64_t from, to;
    uint32_t crc;
};

/* What has been written of a tensor: ranges in ascending order, none touching another. */
struct progress {
    struct range *ranges;
    size_t n, cap;
    bool finished; /* in the journal, or would be if there were one */
};

struct writer {
    struct file_header header;
    struct progress *progress; /* [n_tensors] */
    struct mutex *mutex;       /* guards progress */
    uint8_t *tokenizer;
    char *path; /* of the finished file, links followed */
    struct new_file file;
    bool resumable;               /* file is PATH.part */
    struct part_journal *journal; /* NULL unless resumable */
    size_t n_finished;
};

/* Bytes that may not stand in a provenance text (names of files hold anything) become '?'. */
void writer_clean_text(char *text);
/* Adds r, merged with the ranges it touches. Returns 0, ENOMEM, or EINVAL where it overlaps one. */
int writer_note_range(struct progress *p, struct range r);
/* The header as it would be now; *bytes [header_bytes] is the caller's. Errors: MEMORY. */
enum bise_status writer_make_header(const struct writer *w, uint8_t **bytes,
                                    struct bise_error *err);
/* Opens the journal, which locks the file. Errors: as part_journal_open. */
enum bise_status writer_open_journal(struct writer *w, uint64_t source, struct bise_error *err);
/* Takes over what an earlier run finished, as far as its bytes are still there.
 * Errors: IO, MEMORY. */
enum bise_status writer_take_earlier(struct writer *w, struct bise_error *err);

#endif
