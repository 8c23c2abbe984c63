/* bise quantize --dry-run: what the work will take, and whether it fits. */
#ifndef BISE_QUANT_DRY_RUN_H
#define BISE_QUANT_DRY_RUN_H

#include "quant/convert.h"

struct dry_run {
    const struct convert *convert; /* no writer */
    const char *out_path;
    uint64_t file_bytes;  /* of the output */
    uint64_t temp_bytes;  /* of temporary models beside it; 0: none */
    uint64_t extra_bytes; /* of memory beyond convert's */

    /* What dry_run finds. */
    uint64_t disk_bytes, disk_free, memory_bytes, memory_free;
    double seconds; /* of all threads; a text that is run comes on top */
    bool fits;      /* disk and memory have room */
};

/* The time is that of a sample, read and rounded by one thread. Errors: IO, MEMORY, those of
 * source_read_rows. */
enum bise_status dry_run(struct dry_run *d, struct bise_error *err);

#endif
