#include "tools/common/output.h"

#include "src/base/shown.h"
#include "tools/common/interrupt.h"
#include "tools/common/tools.h"
#include "tools/common/wrap.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 1024 /* what is longer takes memory, as far as there is any */

void put_text(FILE *to, const char *text) {
    static _Thread_local size_t col; /* of standard error */
    if (to == stderr)
        wrap_text(to, text, wrap_columns(STDERR_FILENO), 0, &col);
    else
        fputs(text, to);
}

void print_item(FILE *to, const char *name, size_t at, const char *text) {
    const size_t found = wrap_columns(fileno(to)), cols = found && found < 101 ? found : 101;
    if (at + 30 > cols)
        at = 6;
    size_t col = (size_t)fprintf(to, "  %-*s", (int)at - 2, name);
    if (strlen(name) + 4 > at) {
        fprintf(to, "\n%*s", (int)at, "");
        col = at;
    }
    wrap_text(to, text, cols, at, &col);
    fputc('\n', to);
}

void print_list(FILE *to, const char *format, va_list args) {
    char line[LINE_BYTES], *text = line;
    const size_t n = (size_t)show_vformat(line, sizeof line, format, args);
    if (n >= sizeof line && (text = malloc(n + 1)) != NULL)
        (void)show_vformat(text, n + 1, format, args);
    put_text(to, text ? text : line);
    if (text != line)
        free(text);
}

void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_list(stderr, format, args);
    va_end(args);
}

void print(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_list(stdout, format, args);
    va_end(args);
}

void print_to(FILE *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_list(to, format, args);
    va_end(args);
}

static int last_error; /* errno of the last write that failed */

const char *size_text(char text[SIZE_TEXT], uint64_t bytes) {
    const double n = (double)bytes;
    if (bytes >= 1000000000)
        snprintf(text, SIZE_TEXT, "%.2f GB", n / 1e9);
    else if (bytes >= 1000000)
        snprintf(text, SIZE_TEXT, "%.2f MB", n / 1e6);
    else
        snprintf(text, SIZE_TEXT, "%.1f KB", n / 1e3);
    return text;
}

bool write_whole(int fd, const char *bytes, size_t n) {
    while (n) {
        if (!wait_output(fd))
            return false;
        /* A pipe that can be written takes PIPE_BUF bytes without waiting for its reader. */
        const ssize_t put = write(fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put < 0) {
            last_error = errno;
            return errno != EPIPE && complain("writing the answer failed: %s", strerror(errno));
        }
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

int output_exit_code(void) {
    return last_error == ENOSPC || last_error == EDQUOT ? EXIT_MEMORY : EXIT_FAILED;
}
