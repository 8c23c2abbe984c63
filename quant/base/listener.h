/* How the quantizer speaks to who called it: it prints nothing itself and watches no signals. */
#ifndef BISE_QUANT_BASE_LISTENER_H
#define BISE_QUANT_BASE_LISTENER_H

#include "src/bise.h"

/* text: a line, without its end. */
typedef void bise_note_fn(void *user, const char *text);

/* What progress is told of. */
struct listener_work {
    const char *what; /* NULL: nothing, the work is done */
    enum work_unit { WORK_BYTES, WORK_TOKENS, WORK_MATRICES } unit;
    uint64_t skipped; /* of what will be told as done: was so before */
};
typedef void listener_work_fn(void *user, const struct listener_work *work);

/* Called by the thread that called. Where a function is NULL, or the listener, nothing is said, and
 * nothing stops the work. */
struct listener {
    bise_note_fn *note;         /* to be read by the user */
    bise_note_fn *detail;       /* one line of many, for where progress is not seen */
    listener_work_fn *work;     /* begins, or ends, what progress is told of */
    bise_progress_fn *progress; /* also called where nothing has begun, to ask whether to stop */
    void *user;
};

#if defined(__GNUC__)
#define LISTENER_PRINTF __attribute__((format(printf, 2, 3)))
#else
#define LISTENER_PRINTF
#endif
void listener_note(const struct listener *l, const char *fmt, ...) LISTENER_PRINTF;
void listener_detail(const struct listener *l, const char *fmt, ...) LISTENER_PRINTF;
void listener_begin(const struct listener *l, const char *what, enum work_unit unit,
                    uint64_t skipped);
void listener_end(const struct listener *l);
/* Errors: INTERRUPTED, where the listener wants the work stopped. */
enum bise_status listener_progress(const struct listener *l, uint64_t done, uint64_t total,
                                   struct bise_error *err);

#endif
