/* Drives the program in a pseudo-terminal, as a person at a terminal does: types, waits until
 * something is to be seen, looks at the screen. Nothing depends on time but a limit on waiting,
 * after which a test fails. */
#ifndef BISE_TESTS_PTY_PTY_H
#define BISE_TESTS_PTY_PTY_H

#include "tests/pty/vt.h"
#include "tools/common/buffer.h"

#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#define PTY_SECONDS  60 /* any wait; five times that under a sanitizer or emulator */
#define PTY_MAX_ARGS 24

struct pty {
    int master, out; /* out: the other end of the program's standard output, -1: the terminal */
    pid_t pid;
    int status; /* as waitpid tells, once it has ended */
    bool ended;
    struct vt vt;          /* what the terminal shows */
    struct buffer bytes;   /* all that came from the terminal */
    struct buffer answer;  /* all that came from out */
    size_t typed;          /* of bytes, how much there was when keys were typed last */
    size_t seen;           /* of bytes, how much pty_wait has looked at */
    struct termios before; /* of the terminal, as the program found it */
};

/* How a program is started; all may be zero. */
struct pty_start {
    const char *const *args; /* after "bise"; ends with NULL */
    const char *term;        /* TERM, "xterm" if NULL */
    const char *env;         /* NAME=VALUE, one more of the environment */
    bool pipe;               /* standard output is a pipe */
    size_t cols, rows;       /* 80 x 24 */
};

/* Starts $BISE, its history in the test's own folder. A fault ends the test program. */
void pty_open(struct pty *p, const struct pty_start *how);
/* Ends the program if it still runs. */
void pty_close(struct pty *p);

void pty_type(struct pty *p, const char *keys);
void pty_size(struct pty *p, size_t cols, size_t rows);
/* Reads until text has come from the terminal since the last wait; false after the limit. */
bool pty_wait(struct pty *p, const char *text);
/* Reads until, after what was typed last, the last row is an empty prompt with the cursor on it. */
bool pty_wait_prompt(struct pty *p);
/* The same, for a screen that ends with this text. */
bool pty_wait_end(struct pty *p, const char *text);
/* Reads until the program ends; its exit code, 128 + signal, or -1 after the limit. */
int pty_wait_exit(struct pty *p);
/* Reads what is there from out, at most n bytes; false at its end, or where the screen has shown
 * `until` (NULL: nothing) and nothing is there. */
bool pty_read_out(struct pty *p, size_t n, const char *until);
/* The terminal's mode is what it was before. */
bool pty_restored(const struct pty *p);

/* Prints "ok NAME" or "not ok NAME", with the screen. */
void pty_check(const struct pty *p, bool good, const char *name);
/* The history file: its lines in *n, or 0. */
size_t pty_history_lines(void);
const char *pty_folder(void);
/* Once, at the beginning and the end; skipped where the demo model is missing: false. The end gives
 * the exit code. */
bool pty_begin(const char *name);
int pty_end(void);

#endif
