/* A file that is cut short while it is mapped, or lies on a disk that fails: what is gone cannot be
 * read, and the system says so by a signal (SIGBUS) in the middle of the work. The program then
 * ends with one line and exit code 3; what was synced before, a chat's journal among it, is there
 * at the next start. */
#ifndef BISE_TOOLS_COMMON_MAPPING_H
#define BISE_TOOLS_COMMON_MAPPING_H

#include "src/bise.h"

/* From here on, whatever file it is. */
void mapping_watch_all(void);
/* The same with the model's name, until mapping_forget; path is copied. Where the weights are a
 * copy in memory, there is nothing to watch. At most 8 models at a time. */
void mapping_watch(const struct bise_model *model, const char *path);
/* Accepts NULL, and one that is not watched. */
void mapping_forget(const struct bise_model *model);
/* Called in the handler, before the line: only what a signal handler may do. NULL: nothing. */
void mapping_before_exit(void (*restore)(void));

#endif
