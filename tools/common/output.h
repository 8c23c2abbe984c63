/* Writing what belongs to standard output. */
#ifndef BISE_TOOLS_COMMON_OUTPUT_H
#define BISE_TOOLS_COMMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all n bytes, however slowly they are read. False: the reader has gone (which nothing is
 * said of), the disk is full (said on stderr), or the write was given up for a signal
 * (interrupted_again). */
bool write_whole(int fd, const char *bytes, size_t n);
/* The exit code that the last write that failed asks for: a full disk has its own. */
int output_exit_code(void);

#endif
