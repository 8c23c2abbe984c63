/* Faults while messages are kept in the history's file, and while one is typed at a terminal. */
#include "src/base/error.h"
#include "tests/fault/fault.h"
#include "tools/edit/editor_read.h"
#include "tools/edit/terminal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

/* ---- history ------------------------------------------------------------------------------ */

/* Whether the file has whole lines alone, each "old" or, behind those, one of the added ones. */
static bool is_sound(const char *path, const char *const added[], size_t n_added) {
    char line[64];
    size_t at = 0;
    bool sound = true;
    FILE *f = fopen(path, "r");
    while (f && sound && fgets(line, sizeof line, f)) {
        const bool is_old = at == 0 && strcmp(line, "old\n") == 0;
        while (!is_old && at < n_added && strcmp(line, added[at]) != 0)
            at++;
        sound = is_old || at++ < n_added;
    }
    if (f)
        fclose(f);
    return sound;
}

/* Two messages, read back by another chat. */
static enum bise_status keep_two(const char *path, struct bise_error *err) {
    struct history mine = {.n = 0}, other = {.n = 0};
    enum bise_status s = BISE_OK;
    history_open(&mine, path);
    if (!history_add(&mine, "one", err) || !history_add(&mine, "two", err))
        s = err->status;
    history_open(&other, path);
    if (s == BISE_OK && !fault_injected() &&
        (other.n < 2 || strcmp(other.lines[other.n - 1], "two") != 0))
        s = BISE_STATUS_COUNT;
    history_close(&mine);
    history_close(&other);
    static const char *const added[] = {"one\n", "two\n"};
    return is_sound(path, added, 2) ? s : BISE_STATUS_COUNT;
}

static enum bise_status run_history(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/history", dir);
    const enum bise_status s = keep_two(path, err);
    remove(path);
    return s;
}

/* The same where the file has become so long that it is replaced by a shorter one. */
static enum bise_status run_long_history(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/history", dir);
    FILE *f = fopen(path, "w");
    bool good = f != NULL;
    for (int i = 0; good && i < HISTORY_MAX_LINES; i++)
        good = fputs("old\n", f) >= 0;
    if (!f || fclose(f) != 0 || !good)
        return BISE_STATUS_COUNT;
    const enum bise_status s = keep_two(path, err);
    remove(path);
    return s;
}

/* ---- a terminal ---------------------------------------------------------------------------- */

static int person = -1; /* the other end of it */
static int before[2] = {-1, -1};

/* Standard input and error become a terminal. */
static bool setup_terminal(const char *dir) {
    (void)dir;
    person = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    const bool good = person >= 0 && grantpt(person) == 0 && unlockpt(person) == 0;
    const int end = good ? open(ptsname(person), O_RDWR | O_NOCTTY) : -1;
    if (end < 0)
        return false;
    before[0] = dup(STDIN_FILENO);
    before[1] = dup(STDERR_FILENO);
    const bool set = dup2(end, STDIN_FILENO) >= 0 && dup2(end, STDERR_FILENO) >= 0;
    close(end);
    return set && setenv("TERM", "xterm", 1) == 0;
}

static void restore_terminal(void) {
    for (int i = 0; i < 2; i++)
        if (before[i] >= 0) {
            dup2(before[i], i == 0 ? STDIN_FILENO : STDERR_FILENO);
            close(before[i]);
        }
    if (person >= 0)
        close(person);
}

/* Not by calls that fail on purpose. */
static void type_keys(const char *keys) {
    const struct iovec v = {(void *)keys, strlen(keys)};
    (void)!writev(person, &v, 1);
}

static void look_away(void) {
    char seen[4096];
    const struct iovec v = {seen, sizeof seen};
    while (readv(person, &v, 1) > 0)
        ;
}

/* A message is typed, with a key of several bytes; another is on its way when it is sent. */
static enum bise_status run_terminal(const char *dir, struct bise_error *err) {
    struct history history = {.n = 0};
    struct editor e = {.prompt = "> ", .prompt_on = "", .prompt_off = "", .history = &history};
    struct typed typed = {.to = 0};
    enum bise_status s = BISE_OK;
    size_t len;
    (void)dir;
    tcflush(STDIN_FILENO, TCIFLUSH);
    if (!terminal_open())
        return bise_fail(err, BISE_ERR_IO, "no terminal");
    for (int i = 0; i < 2 && s == BISE_OK; i++) {
        type_keys(i == 0 ? "helo\033[Dl\r" : "hello\r");
        const enum editor_event event = editor_read(&e, &typed, "");
        const char *const text = event == EDITOR_MESSAGE ? editor_message(&e, &len) : NULL;
        if (event != EDITOR_MESSAGE || !text)
            s = bise_fail(err, BISE_ERR_IO, "the terminal is gone (%s)", strerror(typed.error));
        else if (strcmp(text, "hello") != 0 && !fault_injected())
            s = BISE_STATUS_COUNT; /* where memory is lacking a key may do nothing */
        look_away();
    }
    editor_free(&e);
    terminal_close();
    look_away();
    return s;
}

const struct scenario edit_scenarios[] = {
    {"history", NULL, run_history, NULL, NULL,
     MEETS(OPEN) | MEETS(FLOCK) | MEETS(READ) | MEETS(WRITE) | MEETS(CLOSE) | MEETS(MALLOC)},
    {"history_long", NULL, run_long_history, NULL, NULL,
     MEETS_NEW_FILE | MEETS(FLOCK) | MEETS(READ)},
    {"terminal", setup_terminal, run_terminal, NULL, restore_terminal,
     MEETS(READ) | MEETS(WRITE) | MEETS(POLL) | MEETS(MALLOC)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
