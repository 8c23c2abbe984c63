/* Everything the program says, and writing what belongs to standard output. */
#ifndef BISE_TOOLS_COMMON_OUTPUT_H
#define BISE_TOOLS_COMMON_OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* As printf, to standard error and to standard output. What %s puts in, from whatever file, folder
 * or stranger it may come, is shown and not obeyed (src/base/shown.h); line ends and colours are
 * the format's. Nothing else in the tools prints text that is not the program's own. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
__attribute__((format(printf, 2, 3))) void print_to(FILE *to, const char *format, ...);
void print_list(FILE *to, const char *format, va_list args);
/* Text that is the program's own or has been shown already, colours included. What goes to standard
 * error is broken between words where that is a terminal. */
void put_text(FILE *to, const char *text);
/* A line of a list: a name, and behind it at column `at` a text, which goes on below. Not wider
 * than the terminal, nor than 100 columns. Both are the program's own. */
void print_item(FILE *to, const char *name, size_t at, const char *text);

/* A file's size in two digits behind the point, as in "4.85 MB"; text, for %s. */
#define SIZE_TEXT 32
const char *size_text(char text[SIZE_TEXT], uint64_t bytes);

/* Writes all n bytes, however slowly they are read. False: the reader has gone (which nothing is
 * said of), the disk is full (said on stderr), or the write was given up for a signal
 * (interrupted_again). */
bool write_whole(int fd, const char *bytes, size_t n);
/* The exit code that the last write that failed asks for: a full disk has its own. */
int output_exit_code(void);

#endif
