/* The line of work under way, on terminals of few columns: never broken, or it could not be
 * redrawn. */
#include "tools/common/progress.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* What is drawn of work on this file, without the codes around it. */
static void draw(const char *what, unsigned short cols, const char *item, char text[512]) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY), before = dup(STDERR_FILENO);
    const struct winsize size = {.ws_row = 24, .ws_col = cols};
    cr_assert(terminal >= 0 && ioctl(terminal, TIOCSWINSZ, &size) == 0);
    cr_assert(dup2(terminal, STDERR_FILENO) >= 0);
    setenv("TERM", "xterm", 1);
    struct progress p;
    progress_begin(&p, what);
    p.started -= 1000; /* what it is beyond that changes no digit */
    p.drawn = p.started;
    snprintf(p.item, sizeof p.item, "%s", item);
    progress_show(&p, 198000000, 200000000);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    text[0] = 0;
    for (ssize_t n, at = 0; !strstr(text, "\033[K"); at += n) { /* it may come in pieces */
        n = read(master, text + at, (size_t)(511 - at));
        cr_assert(n > 0, "%s", text);
        text[at + n] = 0;
    }
    close(before);
    close(terminal);
    close(master);
    char *const end = strstr(text, "\033[K");
    cr_assert(end && text[0] == '\r', "%s", text);
    *end = 0;
    memmove(text, text + 1, strlen(text));
}

Test(progress, a_line_keeps_to_the_terminal) {
    char text[512];
    draw("/home/me/models/big.bise", 100, "layers.0", text);
    cr_assert_str_eq(text,
                     "/home/me/models/big.bise [#############################.]  99 %  0 MB/s  "
                     "10 s left  layers.0");
    draw("/home/me/models/big.bise", 80, "layers.0", text);
    cr_assert_str_eq(
        text, "big.bise [#############################.]  99 %  0 MB/s  10 s left  layers.0");
    for (unsigned short cols = 1; cols < 90; cols++) {
        draw("/home/me/mod\xc3\xa8les/a-l\xc3\xb6ng-n\xc3\xa4me.bise", cols,
             "layers.10.feed_forward", text);
        cr_assert_lt(strlen(text), cols, "%u columns: %s", cols, text);
    }
}
