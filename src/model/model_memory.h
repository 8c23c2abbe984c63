/* How a model file is held: a mapping of the file, or a copy in huge pages. */
#ifndef BISE_SRC_MODEL_MODEL_MEMORY_H
#define BISE_SRC_MODEL_MODEL_MEMORY_H

#include "src/os/mem.h"

/* Reading the weights from memory in huge pages is what decode's speed is made of
 * (docs/decisions.md); a file is copied there when asked, or when that is free of risk and worth
 * its while. Decides, and puts the reason into phrase [cap]. */
bool memory_prefers_huge(enum bise_memory asked, uint64_t file_bytes, const struct mem_facts *facts,
                         bool have_huge_pages, char *phrase, size_t cap);
/* Whether the system gives transparent huge pages to those who ask. */
bool memory_have_huge_pages(void);

struct memory_request {
    int fd;
    size_t len;
    const char *name; /* for messages */
    int n_threads;    /* 0: choose */
    bool drop_behind; /* the page cache gives up what has been read */
    bool may_decline; /* not if the system is slow to give memory: some virtual machines are */
    bise_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

/* The whole file in *copy (mem_alloc of len), read by all threads. NULL with OK: declined. Errors:
 * IO, FORMAT (the file ends early), MEMORY, INTERRUPTED. */
enum bise_status memory_read(uint8_t **copy, const struct memory_request *request,
                             struct bise_error *err);

#endif
