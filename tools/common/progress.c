#include "tools/common/progress.h"
#include "tools/common/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS 30

bool progress_is_seen(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void progress_begin(struct progress *p, const char *what) {
    *p = (struct progress){.what = what, .started = seconds_now()};
    p->drawn = p->started;
}

void progress_show(struct progress *p, uint64_t done, uint64_t total) {
    const double now = seconds_now(), share = total ? (double)done / (double)total : 1;
    if (!progress_is_seen() || now - p->drawn < 0.1)
        return;
    char bar[BAR_CELLS + 1];
    const int filled = (int)(share * BAR_CELLS);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)filled);
    bar[BAR_CELLS] = 0;
    const double elapsed = now - p->started;
    const double fresh = (double)(done - p->skipped), left = (double)(total - done);
    say("\r%s [%s] %3.0f %%  ", p->what, bar, 100 * share);
    if (!p->no_rate)
        say("%.0f MB/s  ", fresh / elapsed / 1e6);
    if (fresh > 0)
        say("%.0f s left  ", elapsed * left / fresh);
    say("%s\033[K", p->item);
    fflush(stderr);
    p->drawn = now;
    p->shown = true;
}

void progress_end(struct progress *p) {
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

bool progress_callback(void *user, size_t done, size_t total) {
    progress_show(user, done, total);
    return interrupted();
}
