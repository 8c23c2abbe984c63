#include "tools/common/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t n_interrupts, was_terminated;
static volatile int stop_word; /* interrupted(), for what looks at one word */
static const char *volatile answer_to_signal;
static bool keeps_catching;

static void on_signal(int signal_number) {
    const int saved = errno;
    const char *const text = answer_to_signal;
    if (signal_number != SIGINT)
        was_terminated = 1;
    if (n_interrupts < 2)
        n_interrupts++;
    __atomic_store_n(&stop_word, 1, __ATOMIC_RELAXED);
    if (text && signal_number == SIGINT && n_interrupts == 1)
        (void)!write(STDERR_FILENO, text, strlen(text));
    errno = saved;
}

static void install(int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    if (!flags && sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL); /* not where nohup has started the program */
}

void interrupt_catch(void) {
    answer_to_signal = isatty(STDERR_FILENO) ? "\nbise: stopping\n" : NULL;
    install((int)SA_RESETHAND);
}

void interrupt_catch_all(void) {
    keeps_catching = true;
    answer_to_signal = NULL;
    install(0);
}

/* A signal that comes between any two of these is not lost. */
void interrupt_clear(void) {
    n_interrupts = 0;
    stop_word = 0;
    if (interrupted())
        stop_word = 1;
    if (!keeps_catching)
        interrupt_catch();
}

void interrupt_raise(void) {
    if (n_interrupts < 2)
        n_interrupts++;
    stop_word = 1;
}

const volatile int *interrupt_word(void) {
    return &stop_word;
}

bool interrupted(void) {
    return n_interrupts || was_terminated;
}

bool terminated(void) {
    return was_terminated;
}

bool interrupted_again(void) {
    return n_interrupts > 1 || was_terminated;
}

static bool input_is_awaited(const volatile int *changed) {
    return !interrupted() && !(changed && *changed);
}

static bool output_is_awaited(const volatile int *unused) {
    (void)unused;
    return !interrupted_again();
}

/* Waits for events on fd while awaited holds. */
static enum wait_result wait_for(struct pollfd *fd, const struct timespec *limit,
                                 bool (*awaited)(const volatile int *),
                                 const volatile int *changed) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT};
    enum wait_result result = WAIT_SIGNAL;
    sigset_t all, before;
    sigemptyset(&all);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&all, signals[i]);
    /* Blocked until ppoll waits, so that none slips in between the look at the flag and the wait.
     */
    sigprocmask(SIG_BLOCK, &all, &before);
    while (awaited(changed)) {
        const int n = ppoll(fd, 1, limit, &before);
        if (n < 0 && errno == EINTR)
            continue;
        result = n ? WAIT_READY : WAIT_TIMEOUT;
        break;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

enum wait_result wait_input(int fd, int milliseconds, const volatile int *changed) {
    const struct timespec limit = {.tv_sec = milliseconds / 1000,
                                   .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    struct pollfd input = {.fd = fd, .events = POLLIN};
    return wait_for(&input, milliseconds < 0 ? NULL : &limit, input_is_awaited, changed);
}

bool input_or_interrupt(int fd) {
    return wait_input(fd, -1, NULL) == WAIT_READY;
}

bool wait_output(int fd) {
    struct pollfd output = {.fd = fd, .events = POLLOUT};
    if (poll(&output, 1, 0) > 0)
        return true;
    return wait_for(&output, NULL, output_is_awaited, NULL) == WAIT_READY;
}
