#include "tools/common/progress.h"
#include "tools/common/output.h"
#include "tools/common/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS  30
#define NAME_LEAST 12 /* columns for what is at work, at least, and one that stays free */

bool progress_is_seen(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void progress_begin(struct progress *p, const char *what) {
    *p = (struct progress){.what = what, .started = seconds_now()};
    p->drawn = p->started;
}

/* The end of what, after its last slash if need be, in room bytes, no fewer than columns. */
static const char *in_room(const char *what, size_t room) {
    const char *const slash = strrchr(what, '/');
    if (strlen(what) > room && slash)
        what = slash + 1;
    if (strlen(what) > room)
        what += strlen(what) - room;
    while (((unsigned char)*what & 0xc0) == 0x80) /* amid a character */
        what++;
    return what;
}

void progress_show(struct progress *p, uint64_t done, uint64_t total) {
    const double now = seconds_now(), share = total ? (double)done / (double)total : 1;
    if (!progress_is_seen() || now - p->drawn < 0.1)
        return;
    char bar[BAR_CELLS + 1], rate[48] = "", time[48] = "", line[256];
    const int filled = (int)(share * BAR_CELLS);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)filled);
    bar[BAR_CELLS] = 0;
    const double elapsed = now - p->started;
    const double fresh = (double)(done - p->skipped), left = (double)(total - done);
    if (!p->no_rate)
        snprintf(rate, sizeof rate, "%.0f MB/s  ", fresh / elapsed / 1e6);
    if (fresh > 0)
        snprintf(time, sizeof time, "%.0f s left  ", elapsed * left / fresh);
    int n = snprintf(line, sizeof line, " [%s] %3.0f %%  %s%s%s", bar, 100 * share, rate, time,
                     p->item);
    const int cols = (int)wrap_columns(STDERR_FILENO);
    if (cols && n > cols - NAME_LEAST) /* a line that is broken could not be redrawn */
        n = cols > NAME_LEAST ? cols - NAME_LEAST : 0;
    say("\r%s%.*s\033[K", in_room(p->what, cols ? (size_t)(cols - n - 1) : SIZE_MAX), n, line);
    fflush(stderr);
    p->drawn = now;
    p->shown = true;
}

void progress_end(struct progress *p) {
    if (p->shown)
        put_text(stderr, "\r\033[K");
    p->shown = false;
}

bool progress_callback(void *user, size_t done, size_t total) {
    progress_show(user, done, total);
    return interrupted();
}
