/*
 * A file of records that grows, and that one process holds at a time: PATH.journal beside the
 * session PATH. What is appended is on the disk when journal_flush returns; a crash may tear the
 * last record, which a reader then leaves out (src/records.h).
 */
#ifndef BISE_TOOLS_CHAT_JOURNAL_H
#define BISE_TOOLS_CHAT_JOURNAL_H

#include "src/base/records.h"

#define JOURNAL_MAGIC "BISEJ\r\n\x1a" /* 8 bytes */

struct journal {
    char *path;
    int fd;                 /* locked; -1: not open */
    uint64_t good;          /* bytes of the file that are whole */
    bool entered;           /* its name is on the disk */
    bool unlocked;          /* this file system knows no locks: others are not kept away */
    struct records pending; /* not yet in the file */
};

/* Opens or creates the journal of a session, beside the file that session_path leads to, and
 * takes its lock. Errors: IO (also: another process holds it), DISK, MEMORY. j is to be given to
 * journal_close whatever happened. */
enum bise_status journal_open(struct journal *j, const char *session_path, struct bise_error *err);
/* All of it, but what lies a megabyte and more behind the last whole record; malloc'd: the
 * caller's. Errors: IO, FORMAT (it is no journal), MEMORY. */
enum bise_status journal_read(struct journal *j, uint8_t **data, size_t *n, struct bise_error *err);
/* Goes on behind the first good bytes; 0: it becomes empty. */
enum bise_status journal_cut(struct journal *j, uint64_t good, struct bise_error *err);
/* Writes what is pending, and waits for the disk. On failure it stays pending. Errors: IO, DISK,
 * MEMORY (something could not even be kept pending). */
enum bise_status journal_flush(struct journal *j, struct bise_error *err);
/* Gives the lock back; an empty journal is removed. Accepts one that is not open. */
void journal_close(struct journal *j);

#endif
