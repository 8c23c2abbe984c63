/* What has been finished of a file that is being written, for going on after a kill: beside
 * PATH.part, which holds the tensors, PATH.part.journal has an entry for each that is whole. Both
 * are bound to a plan: the header the file will have, and a number for what it is made from. */
#ifndef BISE_QUANT_WRITE_PART_JOURNAL_H
#define BISE_QUANT_WRITE_PART_JOURNAL_H

#include "src/base/error.h"

#define PART_MAGIC   "BISEJNL\n" /* 8 bytes */
#define PART_VERSION 1u
#define PART_HEADER  64u
#define PART_ENTRY   32u

struct part_entry {
    uint32_t tensor, crc; /* number in the file, CRC32C of its bytes */
    float error;
    int8_t codebook[16];
};

struct part_journal;

/* Opens or creates the journal at path and locks it against other processes. Where it is of another
 * plan, or damaged before its first entry, it is begun anew; entries behind a damaged one are
 * forgotten. Errors: IO (another process has it), DISK, MEMORY. */
enum bise_status part_journal_open(struct part_journal **out, const char *path, const void *plan,
                                   size_t plan_len, uint64_t source, struct bise_error *err);
/* Entries of earlier runs, in their order; a tensor whose bytes were found damaged occurs twice. */
const struct part_entry *part_journal_entries(const struct part_journal *j, size_t *n);
/* Whether others are kept away; not where the file system knows no locks. */
bool part_journal_is_locked(const struct part_journal *j);
/* Errors: IO, DISK. */
enum bise_status part_journal_add(struct part_journal *j, const struct part_entry *e,
                                  struct bise_error *err);
/* remove: the file too. Accepts NULL and a pointer to NULL. */
void part_journal_close(struct part_journal **j, bool remove);

#endif
