#include "tools/edit/terminal.h"

#include "tools/common/mapping.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

volatile int terminal_changed;

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";

static struct termios found, editing, watching;
static const struct termios *mode; /* what is set now; NULL: the terminal is not ours */
static int out_fd;

static void write_terminal(const char *text, size_t n) {
    if (write(out_fd, text, n) < 0) /* nothing can be said where this fails */
        return;
}

/* Waits for what was written, keeps what was typed. */
static void set_mode(const struct termios *m) {
    while (tcsetattr(STDIN_FILENO, TCSADRAIN, m) != 0 && errno == EINTR)
        ;
}

static void on_change(int signal_number) {
    (void)signal_number;
    terminal_changed = 1;
}

/* The shell may have changed the mode. */
static void on_continue(int signal_number) {
    const int error = errno;
    (void)signal_number;
    set_mode(mode);
    write_terminal(paste_on, sizeof paste_on - 1);
    terminal_changed = 1;
    errno = error;
}

/* Everything in here may be called in a handler of a signal. */
static void on_stop(int signal_number) {
    const int error = errno;
    struct sigaction act = {.sa_handler = SIG_DFL}, before;
    sigset_t stop, mask;
    write_terminal(paste_off, sizeof paste_off - 1);
    set_mode(&found);
    sigaction(SIGTSTP, &act, &before);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    raise(signal_number);
    sigprocmask(SIG_UNBLOCK, &stop, &mask); /* stops here */
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGTSTP, &before, NULL);
    errno = error;
}

static void install(int signal_number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

/* For a handler that ends the program: without waiting for what was written. */
static void restore_found(void) {
    if (!mode)
        return;
    write_terminal(paste_off, sizeof paste_off - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &found);
}

bool terminal_open(void) {
    const char *term = getenv("TERM");
    if (!term || !term[0] || strcmp(term, "dumb") == 0 || !isatty(STDIN_FILENO))
        return false;
    out_fd = isatty(STDERR_FILENO) ? STDERR_FILENO : STDOUT_FILENO;
    if (!isatty(out_fd) || tcgetattr(STDIN_FILENO, &found) != 0)
        return false;
    watching = found;
    watching.c_iflag &= (tcflag_t) ~(ICRNL | INLCR | IGNCR | ISTRIP);
    watching.c_lflag &= (tcflag_t) ~(ICANON | ECHO | ECHONL | IEXTEN);
    watching.c_lflag |= ISIG | NOFLSH; /* a Ctrl-C does not throw away what was typed before */
    watching.c_cc[VQUIT] = _POSIX_VDISABLE;
    watching.c_cc[VMIN] = 1;
    watching.c_cc[VTIME] = 0;
    editing = watching;
    editing.c_lflag &= (tcflag_t)~ISIG;
    editing.c_iflag &= (tcflag_t)~IXON;
    mode = &watching;
    set_mode(mode);
    write_terminal(paste_on, sizeof paste_on - 1);
    mapping_before_exit(restore_found);
    install(SIGWINCH, on_change, SA_RESTART);
    install(SIGTSTP, on_stop, SA_RESTART);
    install(SIGCONT, on_continue, SA_RESTART);
    return true;
}

void terminal_close(void) {
    if (!mode)
        return;
    install(SIGCONT, SIG_DFL, 0);
    install(SIGTSTP, SIG_DFL, 0);
    install(SIGWINCH, SIG_DFL, 0);
    write_terminal(paste_off, sizeof paste_off - 1);
    set_mode(&found);
    mode = NULL;
}

void terminal_edit(void) {
    mode = &editing;
    set_mode(mode);
}

void terminal_watch(void) {
    mode = &watching;
    set_mode(mode);
}

void terminal_suspend(void) {
    raise(SIGTSTP);
}

int terminal_fd(void) {
    return out_fd;
}

void terminal_size(size_t *cols, size_t *rows) {
    struct winsize size;
    const bool told = ioctl(out_fd, TIOCGWINSZ, &size) == 0;
    *cols = told && size.ws_col ? size.ws_col : 80;
    *rows = told && size.ws_row ? size.ws_row : 24;
}
