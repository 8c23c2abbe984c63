/* Runs the tests of a program: each in a process of its own, results as tests/run.sh reads them. */
#include "tests/plain/criterion/criterion.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum plain_exit { PLAIN_OK = 0, PLAIN_FAILED = 1, PLAIN_SKIPPED = 77 };

static struct plain_test *tests;
static struct plain_suite *suites;
static bool expectation_failed; /* the test goes on */

void plain_add(struct plain_test *test) {
    test->next = tests;
    tests = test;
}

void plain_add_suite(struct plain_suite *suite) {
    suite->next = suites;
    suites = suite;
}

static _Noreturn void leave(enum plain_exit code) {
    fflush(stdout);
    _exit(code);
}

static void say(const char *what, const char *file, int line, const char *format, va_list args) {
    printf("# %s:%d: %s: ", file, line, what);
    vprintf(format, args);
    putchar('\n');
}

_Noreturn void plain_fail(const char *what, const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(what, file, line, format, args);
    va_end(args);
    leave(PLAIN_FAILED);
}

void plain_note(const char *what, const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(what, file, line, format, args);
    va_end(args);
    expectation_failed = true;
}

_Noreturn void plain_skip(void) {
    leave(PLAIN_SKIPPED);
}

static _Noreturn void run(const struct plain_test *test) {
    const struct plain_suite *suite = suites;
    while (suite != NULL && strcmp(suite->name, test->suite) != 0)
        suite = suite->next;
    const struct plain_options none = {0}, *const common = suite ? &suite->options : &none;
    void (*const init)(void) = test->options.init ? test->options.init : common->init;
    void (*const fini)(void) = test->options.fini ? test->options.fini : common->fini;
    if (init != NULL)
        init();
    test->run();
    if (fini != NULL)
        fini();
    leave(expectation_failed ? PLAIN_FAILED : PLAIN_OK);
}

int main(void) {
    int n_failed = 0;
    for (const struct plain_test *test = tests; test != NULL; test = test->next) {
        int status = 0;
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0)
            run(test);
        const bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
        const int code = ended ? WEXITSTATUS(status) : PLAIN_FAILED;
        if (code == PLAIN_SKIPPED)
            printf("skipped %s.%s: not here\n", test->suite, test->name);
        else
            printf("%s %s.%s\n", code == PLAIN_OK ? "ok" : "not ok", test->suite, test->name);
        n_failed += code != PLAIN_OK && code != PLAIN_SKIPPED;
    }
    return n_failed > 0;
}
