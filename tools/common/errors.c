/* What went wrong: on standard error, and as an exit code. */
#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <stdarg.h>

static const char *command; /* NULL: none yet */

void errors_of_command(const char *name) {
    command = name;
}

static void complain_list(const char *format, va_list args) {
    say(command ? "bise %s: " : "bise: ", command);
    print_list(stderr, format, args);
    say("\n");
}

void complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_list(format, args);
    va_end(args);
}

int refuse(enum exit_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_list(format, args);
    va_end(args);
    return code;
}

enum exit_code exit_code_of(enum bise_status status) {
    switch (status) {
    case BISE_OK:
        return EXIT_DONE;
    case BISE_ERR_ARG:
    case BISE_ERR_CPU:
    case BISE_ERR_CONTEXT:
        return EXIT_USAGE;
    case BISE_ERR_IO:
    case BISE_ERR_FORMAT:
    case BISE_ERR_UNSUPPORTED:
        return EXIT_INPUT;
    case BISE_ERR_MEMORY:
    case BISE_ERR_DISK:
        return EXIT_MEMORY;
    case BISE_ERR_INTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

int report(enum bise_status status, const struct bise_error *err) {
    say(command ? "bise %s: " : "bise: ", command);
    put_text(stderr,
             err && err->detail[0] ? err->detail : bise_strerror(status)); /* shown before */
    say("\n");
    return exit_code_of(status);
}
