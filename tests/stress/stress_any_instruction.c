/*
 * What a signal, or another thread, does between any two instructions of code that has to reckon
 * with it: a child process runs the code and is stopped behind its first, second, third ...
 * instruction (every fifth unless TEST_SIZE is full), to be met there by the signal, whose handler
 * is the other side. (A handler and another thread see the same stores; what they see out of order
 * is the memory model's, which the compiler's atomics take care of.)
 */
#include "tests/size.h"
#include "tools/common/interrupt.h"

#include "tools/serve/schedule_step.c" /* NOLINT(bugprone-suspicious-include) */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_STEPS 20000
#define BLOCKED   500 /* milliseconds that an instruction takes only if it waits for something */

struct meeting {
    const char *name;
    int signal_number;
    void (*prepare)(void); /* runs it once, too: libc's functions are found at their first call */
    void (*run)(void);     /* met amid this */
    bool (*is_good)(void); /* whether all is as it should be afterwards */
};

/* ---- what is met ---- */

static int nobody; /* the end of a pipe through which nothing comes */

static void prepare_pipe(void) {
    int ends[2];
    if (pipe(ends) == 0)
        nobody = ends[0];
}

static enum wait_result result;

static void catch_all(void) {
    prepare_pipe();
    interrupt_catch_all();
    interrupt_clear();
    (void)wait_input(nobody, 1, NULL);
}

static void catch_one(void) {
    interrupt_catch();
    interrupt_clear();
}

/* A signal before the flag is lowered is over, one behind it is seen by all who look. */
static bool all_see_it(void) {
    return interrupted() == (*interrupt_word() != 0) && terminated() <= interrupted();
}

static void wait_long(void) {
    result = wait_input(nobody, 60000, NULL);
}

static bool was_woken(void) {
    return result == WAIT_SIGNAL && interrupted();
}

static volatile int changed;

static void on_change(int number) {
    (void)number;
    changed = 1;
}

static void catch_change(void) {
    prepare_pipe();
    signal(SIGWINCH, on_change);
    (void)wait_input(nobody, 1, NULL);
}

static void wait_for_change(void) {
    result = wait_input(nobody, 60000, &changed);
}

static bool was_changed(void) {
    return result == WAIT_SIGNAL && changed;
}

static struct server server;

/* The second signal of a server, as its handler and the sockets' thread take it. */
static void on_end(int number) {
    (void)number;
    atomic_store(&server.stopping, 2);
    server_stop_step(&server, 1);
}

static void catch_end(void) {
    signal(SIGTERM, on_end);
    atomic_store(&server.stopping, 1);
    server_stop_step(&server, 1); /* for a client that has left */
}

static void lower(void) {
    lower_stop(&server);
}

static bool is_stopped_at_the_end(void) {
    return server.stop == (atomic_load(&server.stopping) == 2);
}

static const struct meeting meetings[] = {
    {"interrupt_clear, SIGINT", SIGINT, catch_all, interrupt_clear, all_see_it},
    {"interrupt_clear, SIGTERM", SIGTERM, catch_all, interrupt_clear, all_see_it},
    {"interrupt_clear of commands, SIGINT", SIGINT, catch_one, interrupt_clear, all_see_it},
    {"wait_input, SIGINT", SIGINT, catch_all, wait_long, was_woken},
    {"wait_input, SIGWINCH", SIGWINCH, catch_change, wait_for_change, was_changed},
    {"lower_stop, the end of the server", SIGTERM, catch_end, lower, is_stopped_at_the_end},
};

/* ---- meeting it ---- */

static volatile bool is_over; /* in the child's memory */

static void run_child(const struct meeting *m) {
    m->prepare();
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(2);
    raise(SIGSTOP);
    m->run();
    is_over = true;
    _exit(!m->is_good());
}

/* Waits until the child is stopped or has ended; false: its instruction waits for something. */
static bool wait_stopped(pid_t child, int *status) {
    const struct timespec ms = {.tv_nsec = 1000000};
    for (int i = 0; i < BLOCKED; i++) {
        for (int look = 0; look < 1000; look++)
            if (waitpid(child, status, WNOHANG) == child)
                return true;
        nanosleep(&ms, NULL);
    }
    return false;
}

enum met { MET, WENT_BY, NO_TRACING, WENT_WRONG };

/* The child runs n instructions and is then met; where it waits sooner, it is met there. */
static enum met meet_at(const struct meeting *m, long n, bool *waited) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0)
        run_child(m);
    *waited = false;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return WENT_WRONG;
    if (WIFEXITED(status))
        return NO_TRACING;
    for (long i = 0; i < n && !*waited; i++) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            return WENT_WRONG;
        if (!wait_stopped(child, &status))
            *waited = true;
        else if (WIFEXITED(status))
            return WENT_BY;
    }
    const bool is_past = !*waited && ptrace(PTRACE_PEEKDATA, child, &is_over, NULL) & 1;
    if (*waited && (kill(child, m->signal_number) != 0 || waitpid(child, &status, 0) != child))
        return WENT_WRONG;
    if (is_past) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        return WENT_BY;
    }
    if (ptrace(PTRACE_CONT, child, NULL, m->signal_number) != 0 ||
        waitpid(child, &status, 0) != child)
        return WENT_WRONG;
    while (WIFSTOPPED(status)) /* a signal that was blocked, and comes now */
        if (ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status)) != 0 ||
            waitpid(child, &status, 0) != child)
            return WENT_WRONG;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? MET : WENT_WRONG;
}

/* False: tracing is not to be had here. */
static bool meet_everywhere(const struct meeting *m, bool *good) {
    enum met met = MET;
    bool waited = false;
    long n = 0;
    const long apart = test_full() ? 1 : 5; /* a sample: every fifth */
    for (; met == MET && !waited && n < MAX_STEPS; n += apart)
        met = meet_at(m, n, &waited);
    *good = (met == WENT_BY || (met == MET && waited)) && n > 10;
    if (met != NO_TRACING)
        printf("%s %s: at %ld instructions%s\n", *good ? "ok" : "not ok", m->name, n,
               waited ? ", the last of which waits" : "");
    return met != NO_TRACING;
}

int main(void) {
    int n_bad = 0;
    bool good;
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *const sanitizer = getenv("SANITIZER");
    if (sanitizer && sanitizer[0]) {
        printf("skipped any_instruction: sanitizers keep signals back, or add instructions\n");
        return 0;
    }
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++) {
        if (!meet_everywhere(&meetings[i], &good)) {
            printf("skipped any_instruction: processes cannot be traced here\n");
            return 0;
        }
        n_bad += !good;
    }
    return n_bad > 0;
}
