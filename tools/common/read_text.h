/* Texts from files and standard input, whole and by lines. */
#ifndef BISE_TOOLS_COMMON_READ_TEXT_H
#define BISE_TOOLS_COMMON_READ_TEXT_H

#include "tools/common/id_list.h"
#include "tools/common/tools.h"

#include <stdint.h>
#include <stdio.h>

#define ANY_LENGTH SIZE_MAX

/* Reads all of a file ("-": standard input) of at most max bytes into *text, malloc'd and
 * NUL-terminated. Returns an exit code, the fault said on stderr. */
int read_text(const char *path, size_t max, char **text, size_t *len);
/* The same of any length, which must be UTF-8. */
int read_utf8(const char *path, char **text, size_t *len);

/* The next line of f, with its end, in *line (of getline). False: there is none, and *error is 0 at
 * the end and after a signal, else the errno. What a signal or a fault cuts off is no line. */
bool read_text_line(FILE *f, char **line, size_t *cap, size_t *len, int *error);

/* Adds ids from 0 to most, which stand in the text with white space or commas between them. False:
 * *bad is where something else stands, or NULL where there is no memory. */
bool ids_from_text(const char *text, int64_t most, struct id_list *list, const char **bad);

#endif
