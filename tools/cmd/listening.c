#include "tools/cmd/listening.h"
#include "tools/common/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_note(void *user, const char *text) {
    struct listening *const l = user;
    progress_end(&l->bar);
    if (!l->quiet)
        say("%s\n", text);
}

/* What a line is about stands first in it: beside a bar, that is enough. */
static void on_detail(void *user, const char *text) {
    struct listening *const l = user;
    if (!isatty(STDERR_FILENO))
        on_note(user, text);
    else
        snprintf(l->bar.item, sizeof l->bar.item, "%.*s", (int)strcspn(text, " "), text);
}

static void on_work(void *user, const struct listener_work *work) {
    struct listening *const l = user;
    progress_end(&l->bar);
    l->work = *work;
    if (!work->what || l->quiet)
        return;
    progress_begin(&l->bar, work->what);
    l->bar.skipped = work->skipped;
    l->bar.no_rate = work->unit != WORK_BYTES;
}

static bool on_progress(void *user, size_t done, size_t total) {
    struct listening *const l = user;
    if (l->work.what && !l->quiet)
        progress_show(&l->bar, done, total);
    return interrupted();
}

void listening_init(struct listening *l, bool quiet) {
    *l = (struct listening){.listener = {on_note, on_detail, on_work, on_progress, l},
                            .quiet = quiet};
}
