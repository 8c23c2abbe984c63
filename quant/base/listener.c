#include "quant/base/listener.h"

#include "src/base/error.h"
#include "src/base/shown.h"

#include <stdarg.h>

#define LINE_BYTES 8192 /* two paths and words */

static void send_line(const struct listener *l, bise_note_fn *to, const char *fmt, va_list args) {
    char line[LINE_BYTES];
    if (!to)
        return;
    show_vformat(line, sizeof line, fmt, args);
    to(l->user, line);
}

void listener_note(const struct listener *l, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    send_line(l, l ? l->note : NULL, fmt, args);
    va_end(args);
}

void listener_detail(const struct listener *l, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    send_line(l, l ? l->detail : NULL, fmt, args);
    va_end(args);
}

void listener_begin(const struct listener *l, const char *what, enum work_unit unit,
                    uint64_t skipped) {
    const struct listener_work work = {what, unit, skipped};
    if (l && l->work)
        l->work(l->user, &work);
}

void listener_end(const struct listener *l) {
    listener_begin(l, NULL, WORK_BYTES, 0);
}

enum bise_status listener_progress(const struct listener *l, uint64_t done, uint64_t total,
                                   struct bise_error *err) {
    if (l && l->progress && l->progress(l->user, (size_t)done, (size_t)total))
        return bise_fail(err, BISE_ERR_INTERRUPTED, "interrupted");
    return BISE_OK;
}
