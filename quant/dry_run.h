/* bise quantize --dry-run: what the work will take, and whether it fits. */
#ifndef BISE_QUANT_DRY_RUN_H
#define BISE_QUANT_DRY_RUN_H

#include "quant/convert.h"

struct dry_run {
    const struct convert *convert; /* no writer */
    size_t n_tensors;
    const char *out_path;
    uint64_t file_bytes;  /* of the output */
    uint64_t temp_bytes;  /* of temporary models beside it; 0: none */
    uint64_t extra_bytes; /* of memory beyond convert's */
    bool reads_text;      /* a text is run too, which takes time of its own */
};

/* Prints sizes, disk, memory and time on stdout; the time is that of a sample, read and rounded by
 * one thread; what a text adds is not known, and said. *fits: whether disk and memory have room.
 * Errors: IO, MEMORY, those of source_read_rows. */
enum bise_status dry_run(const struct dry_run *d, bool *fits, struct bise_error *err);

#endif
