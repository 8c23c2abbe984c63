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

bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_list(format, args);
    va_end(args);
    return false;
}

int refuse(enum exit_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_list(format, args);
    va_end(args);
    return code;
}

enum exit_code exit_code_of(enum bise_status status) {
    static const enum exit_code codes[] = {
        [BISE_OK] = EXIT_DONE,
        [BISE_ERR_ARG] = EXIT_USAGE,
        [BISE_ERR_CPU] = EXIT_USAGE,
        [BISE_ERR_CONTEXT] = EXIT_USAGE,
        [BISE_ERR_IO] = EXIT_INPUT,
        [BISE_ERR_FORMAT] = EXIT_INPUT,
        [BISE_ERR_MEMORY] = EXIT_MEMORY,
        [BISE_ERR_UNSUPPORTED] = EXIT_INPUT,
        [BISE_ERR_DISK] = EXIT_MEMORY,
        [BISE_ERR_INTERRUPTED] = EXIT_INTERRUPTED,
        [BISE_ERR_NONFINITE] = EXIT_FAILED,
    };
    return codes[status];
}

int report(enum bise_status status, const struct bise_error *err) {
    say(command ? "bise %s: " : "bise: ", command);
    put_text(stderr,
             err && err->detail[0] ? err->detail : bise_strerror(status)); /* shown before */
    say("\n");
    return exit_code_of(status);
}
