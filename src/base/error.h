/* Status codes travel as return values; the detail string says file, tensor or flag, what was
 * expected and what was found. */
#ifndef BISE_SRC_BASE_ERROR_H
#define BISE_SRC_BASE_ERROR_H

#include "src/bise.h"

/* Sets e (may be NULL) and returns status. Called once, where the fault is found. What %s puts in
 * may come from a file, and is shown (src/base/shown.h). */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum bise_status
bise_fail(struct bise_error *e, enum bise_status status, const char *fmt, ...);

#ifdef __clang_analyzer__
/* Tells the analyzer, which sees one file at a time, that the status comes back. */
#define bise_fail(e, status, ...) (bise_fail(e, status, __VA_ARGS__), (status))
#endif

#endif
