#include "tools/edit/editor_read.h"

#include "tools/common/interrupt.h"
#include "tools/edit/terminal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ESCAPE_WAIT 500 /* milliseconds after which an Escape stands for itself */
#define CTRL_C      3

/* Writes what the editor has to show; whatever cannot be written is not seen. */
static void flush_editor(struct editor *e) {
    size_t at = 0;
    while (at < e->out.len) {
        const ssize_t n = write(terminal_fd(), e->out.bytes + at, e->out.len - at);
        const bool later = n < 0 && errno == EAGAIN && wait_output(terminal_fd());
        if (n < 0 && !later && (errno != EINTR || terminated()))
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    buffer_clear(&e->out);
}

static void measure_terminal(struct editor *e) {
    size_t cols, rows;
    terminal_size(&cols, &rows);
    editor_resize(e, cols, rows);
}

/* Waits for keys. EDITOR_NONE, or why there will be none. */
static enum editor_event wait_for_keys(struct editor *e, struct typed *typed) {
    const int limit = keys_waiting(&e->keys) ? ESCAPE_WAIT : -1;
    switch (wait_input(STDIN_FILENO, limit, &terminal_changed)) {
    case WAIT_TIMEOUT:
        editor_timeout(e);
        return EDITOR_NONE;
    case WAIT_SIGNAL:
        if (terminated())
            return EDITOR_END;
        if (interrupted())
            return EDITOR_INTERRUPT;
        terminal_changed = 0;
        measure_terminal(e);
        return EDITOR_NONE;
    case WAIT_READY:
        break;
    }
    const ssize_t n = read(STDIN_FILENO, typed->bytes, sizeof typed->bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return EDITOR_NONE;
    if (n < 0)
        typed->error = errno;
    if (n <= 0)
        return EDITOR_END;
    typed->from = 0;
    typed->to = (size_t)n;
    return EDITOR_NONE;
}

/* Feeds what has been typed. */
static enum editor_event feed_typed(struct editor *e, struct typed *typed) {
    enum editor_event event = EDITOR_NONE;
    while (!event && typed->from < typed->to)
        event = editor_feed(e, typed->bytes[typed->from++]);
    return event;
}

static void suspend_editor(struct editor *e) {
    editor_leave(e);
    flush_editor(e);
    terminal_suspend();
    measure_terminal(e);
}

/* From now on Ctrl-C is a signal; one typed a moment earlier waits as a byte and means the same. */
static void watch_terminal(struct typed *typed) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    terminal_watch();
    memmove(typed->bytes, typed->bytes + typed->from, typed->to - typed->from);
    typed->to -= typed->from;
    typed->from = 0;
    if (typed->to < sizeof typed->bytes && poll(&input, 1, 0) > 0) {
        const ssize_t n =
            read(STDIN_FILENO, typed->bytes + typed->to, sizeof typed->bytes - typed->to);
        typed->to += n > 0 ? (size_t)n : 0;
    }
    const unsigned char *at = memchr(typed->bytes, CTRL_C, typed->to);
    if (!at)
        return;
    interrupt_raise();
    const size_t i = (size_t)(at - typed->bytes);
    memmove(typed->bytes + i, typed->bytes + i + 1, typed->to - i - 1);
    typed->to--;
}

enum editor_event editor_read(struct editor *e, struct typed *typed, const char *text) {
    enum editor_event event = EDITOR_NONE;
    terminal_edit();
    interrupt_clear(); /* one that came as the answer ended */
    terminal_changed = 0;
    screen_forget(&e->screen);
    editor_begin(e, text);
    measure_terminal(e);
    screen_forget(&e->screen);
    while (!event) {
        event = feed_typed(e, typed);
        if (event == EDITOR_SUSPEND) {
            suspend_editor(e);
            event = EDITOR_NONE;
        }
        if (event)
            break;
        if (typed->from == typed->to) {
            editor_draw(e);
            flush_editor(e);
            event = wait_for_keys(e, typed);
        }
    }
    editor_leave(e);
    flush_editor(e);
    if (event == EDITOR_MESSAGE)
        watch_terminal(typed);
    else
        terminal_watch();
    return event;
}
