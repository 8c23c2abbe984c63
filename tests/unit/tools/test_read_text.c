/* Lines of a text: what a signal or a fault cuts off is none. */
#include "tools/common/read_text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static char *line;
static size_t cap, len;
static int error;

static void on_signal(int signal_number) {
    (void)signal_number;
}

Test(read_text, the_last_line_needs_no_end) {
    char text[] = "one\n\ntwo";
    FILE *f = fmemopen(text, strlen(text), "r");
    cr_assert(read_text_line(f, &line, &cap, &len, &error));
    cr_assert(len == 4 && strcmp(line, "one\n") == 0);
    cr_assert(read_text_line(f, &line, &cap, &len, &error));
    cr_assert(len == 1);
    cr_assert(read_text_line(f, &line, &cap, &len, &error));
    cr_assert(len == 3 && strcmp(line, "two") == 0);
    cr_assert_not(read_text_line(f, &line, &cap, &len, &error));
    cr_assert_eq(error, 0);
}

Test(read_text, a_folder_is_a_fault) {
    FILE *f = fopen("/", "r");
    cr_assert_not_null(f);
    cr_assert_not(read_text_line(f, &line, &cap, &len, &error));
    cr_assert_eq(error, EISDIR);
}

struct reader {
    pthread_t thread;
    int pipe;
    atomic_bool done;
};

/* Once the reader has taken all there is, it waits in its read: there the signal meets it. */
static void *disturb(void *arg) {
    struct reader *const r = arg;
    int left = 1;
    while (left > 0 && ioctl(r->pipe, FIONREAD, &left) == 0)
        ;
    while (!atomic_load(&r->done)) {
        pthread_kill(r->thread, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

Test(read_text, half_a_line_before_a_signal_is_none) {
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    FILE *f = fdopen(fds[0], "r");
    setvbuf(f, NULL, _IONBF, 0);
    cr_assert_eq(write(fds[1], "whole\nhalf", 10), 10);
    cr_assert(read_text_line(f, &line, &cap, &len, &error));
    cr_assert(len == 6 && memcmp(line, "whole\n", 6) == 0);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    struct reader r = {.thread = pthread_self(), .pipe = fds[0]};
    pthread_t other;
    cr_assert_eq(pthread_create(&other, NULL, disturb, &r), 0);
    const bool any = read_text_line(f, &line, &cap, &len, &error);
    atomic_store(&r.done, true);
    pthread_join(other, NULL);
    cr_assert_not(any);
    cr_assert_eq(error, 0);
    cr_assert_eq(write(fds[1], "next\n", 5), 5);
    cr_assert(read_text_line(f, &line, &cap, &len, &error));
    cr_assert(len == 5 && memcmp(line, "next\n", 5) == 0);
}
