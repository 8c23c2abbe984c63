#include "tests/pty/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static int n_passed, n_failed;

static void die(const char *what) {
    printf("not ok %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double limit(void) {
    const char *sanitizer = getenv("SANITIZER");
    return now() + (sanitizer && sanitizer[0] ? 5 * PTY_SECONDS : PTY_SECONDS);
}

/* ---- starting and ending ---- */

static void set_size(int fd, size_t cols, size_t rows) {
    const struct winsize size = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    if (ioctl(fd, TIOCSWINSZ, &size) != 0)
        die("TIOCSWINSZ");
}

/* In the child: the terminal becomes its own, and the program takes its place. */
static void become(const struct pty_start *how, int terminal, int out) {
    const char *bise = getenv("BISE");
    const char *args[PTY_MAX_ARGS + 2] = {"bise"};
    for (size_t i = 0; how->args && how->args[i] && i < PTY_MAX_ARGS; i++)
        args[i + 1] = how->args[i];
    setsid();
    ioctl(terminal, TIOCSCTTY, 0);
    dup2(terminal, STDIN_FILENO);
    dup2(out < 0 ? terminal : out, STDOUT_FILENO);
    dup2(terminal, STDERR_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        close(fd);
    setenv("TERM", how->term ? how->term : "xterm", 1);
    setenv("XDG_STATE_HOME", folder, 1);
    setenv("BISE_MODEL", "models/demo.bise", 1);
    unsetenv("NO_COLOR");
    if (how->env)
        putenv(strdup(how->env));
    execv(bise ? bise : "build/bise", (char *const *)(uintptr_t)args);
    _exit(127);
}

void pty_open(struct pty *p, const struct pty_start *how) {
    const size_t cols = how->cols ? how->cols : 80, rows = how->rows ? how->rows : 24;
    int ends[2] = {-1, -1};
    *p = (struct pty){.out = -1};
    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->master < 0 || grantpt(p->master) != 0 || unlockpt(p->master) != 0)
        die("posix_openpt");
    const int terminal = open(ptsname(p->master), O_RDWR | O_NOCTTY);
    if (terminal < 0 || tcgetattr(terminal, &p->before) != 0)
        die("the terminal's other end");
    set_size(terminal, cols, rows);
    if (how->pipe && pipe2(ends, O_CLOEXEC) != 0)
        die("pipe");
    vt_open(&p->vt, cols, rows);
    fflush(NULL);
    p->pid = fork();
    if (p->pid < 0)
        die("fork");
    if (!p->pid)
        become(how, terminal, ends[1]);
    close(terminal);
    if (ends[1] >= 0)
        close(ends[1]);
    p->out = ends[0];
}

/* Whether the program has ended. */
static bool reap(struct pty *p) {
    if (!p->ended && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
        p->ended = true;
    return p->ended;
}

void pty_close(struct pty *p) {
    if (!reap(p)) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &p->status, 0);
    }
    if (p->master >= 0)
        close(p->master);
    if (p->out >= 0)
        close(p->out);
    vt_close(&p->vt);
    buffer_free(&p->bytes);
    buffer_free(&p->answer);
}

/* ---- reading and writing ---- */

/* Takes in what the terminal shows, waiting some milliseconds for it. False: there was nothing. */
static bool pump(struct pty *p, int milliseconds) {
    char bytes[4096];
    struct pollfd ready = {.fd = p->master, .events = POLLIN};
    if (p->master < 0 || poll(&ready, 1, milliseconds) <= 0)
        return false;
    const ssize_t n = read(p->master, bytes, sizeof bytes);
    if (n <= 0) {
        poll(NULL, 0, milliseconds); /* nobody has it open: do not spin */
        return false;
    }
    buffer_put(&p->bytes, bytes, (size_t)n);
    vt_write(&p->vt, bytes, (size_t)n);
    return true;
}

/* Waits for more to be shown; false where no more will come, or the limit is passed. */
static bool more(struct pty *p, double end) {
    const bool ended = reap(p);
    return (pump(p, 20) || !ended) && now() < end;
}

void pty_type(struct pty *p, const char *keys) {
    size_t n = strlen(keys);
    const double end = limit();
    pump(p, 0);
    p->typed = p->bytes.len;
    while (n && now() < end && !reap(p)) {
        struct pollfd room = {.fd = p->master, .events = POLLOUT};
        if (poll(&room, 1, 10) > 0) {
            /* Small portions: a terminal takes what its reader has room for. */
            const ssize_t put = write(p->master, keys, n < 256 ? n : 256);
            if (put < 0 && errno != EINTR && errno != EAGAIN)
                return;
            keys += put > 0 ? put : 0;
            n -= put > 0 ? (size_t)put : 0;
        }
        pump(p, 0);
    }
}

void pty_size(struct pty *p, size_t cols, size_t rows) {
    pump(p, 0);
    vt_resize(&p->vt, cols, rows);
    set_size(p->master, cols, rows);
}

static const char *find(const struct buffer *b, size_t from, const char *text) {
    return b->len > from ? memmem(b->bytes + from, b->len - from, text, strlen(text)) : NULL;
}

bool pty_wait(struct pty *p, const char *text) {
    const double end = limit();
    const char *at;
    while (!(at = find(&p->bytes, p->seen, text)) && more(p, end))
        ;
    if (at)
        p->seen = (size_t)(at - p->bytes.bytes) + strlen(text);
    return at != NULL;
}

static bool ends_with(const struct pty *p, const char *text) {
    char *all = vt_text(&p->vt);
    const size_t n = strlen(all), len = strlen(text);
    const bool good = n >= len && strcmp(all + n - len, text) == 0;
    free(all);
    return good;
}

static bool prompts(const struct pty *p) {
    char row[VT_COLS * VT_CELL];
    vt_row_text(&p->vt, p->vt.row, row, sizeof row);
    return p->bytes.len > p->typed && strcmp(row, ">") == 0 && p->vt.col == 2 &&
           ends_with(p, "\n>");
}

bool pty_wait_prompt(struct pty *p) {
    const double end = limit();
    while (!prompts(p) && more(p, end))
        ;
    p->seen = p->bytes.len;
    return prompts(p);
}

bool pty_wait_end(struct pty *p, const char *text) {
    const double end = limit();
    while (!ends_with(p, text) && more(p, end))
        ;
    p->seen = p->bytes.len;
    return ends_with(p, text);
}

int pty_wait_exit(struct pty *p) {
    const double end = limit();
    while (!reap(p) && now() < end)
        pump(p, 20);
    pump(p, 0);
    if (!p->ended)
        return -1;
    return WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
}

bool pty_read_out(struct pty *p, size_t n, const char *until) {
    char bytes[4096];
    const double end = limit();
    while (now() < end) {
        struct pollfd ready = {.fd = p->out, .events = POLLIN};
        pump(p, 0); /* it may be waiting to show something */
        if (poll(&ready, 1, 20) <= 0) {
            if (until && find(&p->bytes, 0, until))
                return false;
            continue;
        }
        const ssize_t got = read(p->out, bytes, n < sizeof bytes ? n : sizeof bytes);
        if (got > 0)
            buffer_put(&p->answer, bytes, (size_t)got);
        return got > 0;
    }
    return false;
}

bool pty_restored(const struct pty *p) {
    struct termios after;
    return tcgetattr(p->master, &after) == 0 && after.c_lflag == p->before.c_lflag &&
           after.c_iflag == p->before.c_iflag && after.c_oflag == p->before.c_oflag &&
           !p->vt.bracketed;
}

/* ---- results ---- */

void pty_check(const struct pty *p, bool good, const char *name) {
    printf("%s %s\n", good ? "ok" : "not ok", name);
    if (good) {
        n_passed++;
        return;
    }
    n_failed++;
    char *text = vt_text(&p->vt), *last = text + strlen(text);
    for (int lines = 0; last > text && lines < 30; last--)
        lines += last[-1] == '\n';
    printf("the terminal shows (cursor in row %zu, column %zu):\n%s\n", p->vt.row, p->vt.col, last);
    free(text);
}

const char *pty_folder(void) {
    return folder;
}

size_t pty_history_lines(void) {
    char path[96];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/bise/history", folder);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    for (int c = getc(f); c != EOF; c = getc(f))
        n += c == '\n';
    fclose(f);
    return n;
}

bool pty_begin(const char *name) {
    struct stat st;
    if (stat("models/demo.bise", &st) != 0) {
        printf("skipped %s: models/demo.bise is not there\n", name);
        return false;
    }
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        printf("skipped %s: the locale C.UTF-8 is not there\n", name);
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof folder, "/tmp/bise-pty.XXXXXX");
    if (!mkdtemp(folder))
        die("mkdtemp");
    return true;
}

int pty_end(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/bise/history", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/bise", folder);
    rmdir(path);
    rmdir(folder);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed > 0;
}
