#include "src/base/error.h"

#include "src/base/shown.h"

#include <stdarg.h>

static const char *const meanings[BISE_STATUS_COUNT] = {
    [BISE_OK] = "done",
    [BISE_ERR_ARG] = "an argument is outside what is accepted",
    [BISE_ERR_IO] = "the system refused to open, read or write a file",
    [BISE_ERR_FORMAT] = "the file is not what it should be, or is damaged",
    [BISE_ERR_UNSUPPORTED] = "the file is of a kind this program does not run",
    [BISE_ERR_MEMORY] = "not enough memory",
    [BISE_ERR_DISK] = "not enough space on the disk",
    [BISE_ERR_CONTEXT] = "more tokens than the context holds",
    [BISE_ERR_NONFINITE] = "an activation became infinite or not a number",
    [BISE_ERR_CPU] = "this CPU lacks the instruction set asked for",
    [BISE_ERR_INTERRUPTED] = "interrupted",
};

const char *bise_strerror(enum bise_status status) {
    if ((unsigned)status >= BISE_STATUS_COUNT)
        return "unknown status";
    return meanings[status];
}

enum bise_status(bise_fail)(struct bise_error *e, enum bise_status status, const char *fmt, ...) {
    if (e) {
        va_list args;
        va_start(args, fmt);
        e->status = status;
        show_vformat(e->detail, sizeof e->detail, fmt, args);
        va_end(args);
    }
    return status;
}
