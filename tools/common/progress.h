/* Long work as seen on a terminal, and stopped from one. */
#ifndef BISE_TOOLS_COMMON_PROGRESS_H
#define BISE_TOOLS_COMMON_PROGRESS_H

#include "src/bise.h"
#include "src/os/clock.h"
#include "tools/common/interrupt.h"

/* Whether a line on stderr can be redrawn: it is a terminal, and not a dumb one. */
bool progress_is_seen(void);

/* A line on stderr, redrawn ten times a second at most: what, a bar, percent, rate, time left.
 * Nothing at all where that cannot be seen. */
struct progress {
    const char *what;
    double started, drawn;
    bool shown, no_rate;
    char item[64];    /* what is at work, "": not said */
    uint64_t skipped; /* of what is done: was done before progress_begin */
};
void progress_begin(struct progress *p, const char *what);
/* done and total in bytes, or (no_rate set after progress_begin) in anything. */
void progress_show(struct progress *p, uint64_t done, uint64_t total);
/* Wipes the line. */
void progress_end(struct progress *p);

/* A bise_progress_fn: shows the struct progress that user points to; stops when interrupted. */
bool progress_callback(void *user, size_t done, size_t total);

#endif
