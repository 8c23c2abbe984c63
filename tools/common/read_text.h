/* Whole texts from files and standard input. */
#ifndef BISE_TOOLS_COMMON_READ_TEXT_H
#define BISE_TOOLS_COMMON_READ_TEXT_H

#include "tools/common/tools.h"

/* Reads all of a file ("-": standard input) into *text, malloc'd and NUL-terminated. Returns an
 * exit code, the fault said on stderr. */
int read_text(const char *path, char **text, size_t *len);

#endif
