#include "tools/edit/color.h"

#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool colored;

bool color_choose(const char *when) {
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    if (!when || strcmp(when, "auto") == 0)
        colored = isatty(STDERR_FILENO) && !(no_color && no_color[0]) && term && term[0] &&
                  strcmp(term, "dumb") != 0;
    else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
        colored = when[0] == 'a';
    else
        return complain("--color: expected auto, always or never, found \"%s\"", when);
    return true;
}

const char *paint(enum paint p) {
    static const char *const sequences[] = {
        [PAINT_OFF] = "\033[0m", [PAINT_PROMPT] = "\033[1;36m", [PAINT_NOTE] = "\033[2m"};
    return colored ? sequences[p] : "";
}

void say_note(const char *format, ...) {
    va_list args;
    put_text(stderr, paint(PAINT_NOTE));
    va_start(args, format);
    print_list(stderr, format, args);
    va_end(args);
    put_text(stderr, paint(PAINT_OFF));
    put_text(stderr, "\n");
}
