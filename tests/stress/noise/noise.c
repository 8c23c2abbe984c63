/*
 * Preloaded: threads of the program lose their CPU at any instruction, mostly for some hundred
 * microseconds, sometimes for a tenth of a second, as on a machine that is overloaded. A thread of
 * this library's own signals one of the others again and again; the handler sleeps. (So system
 * calls are interrupted as well.) Programs that are not named bise or stress_* are left in peace.
 * environment: NOISE the seed; NOISE_US microseconds between two such events of one thread (default
 * 6000: it then sleeps a fifth of the time)
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 256

static int noise_signal;
static atomic_uint random_state;
static long between_us = 6000;

static uint32_t next_random(void) {
    uint32_t x = atomic_fetch_add(&random_state, 0x9e3779b9u) + 0x9e3779b9u;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

static void sleep_us(long us) {
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    (void)syscall(SYS_nanosleep, &t, NULL);
}

static void lose_cpu(int number) {
    const int error = errno;
    const uint32_t r = next_random();
    (void)number;
    sleep_us(r % 200 == 0 ? 100000 : r % 10 == 0 ? 5000 : (long)(r >> 8) % 400);
    errno = error;
}

static int list_threads(pid_t *threads, pid_t but) {
    int n = 0;
    DIR *const folder = opendir("/proc/self/task");
    for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
        const pid_t id = (pid_t)atoi(e->d_name);
        if (id > 0 && id != but && n < MAX_THREADS)
            threads[n++] = id;
    }
    if (folder)
        closedir(folder);
    return n;
}

static void *make_noise(void *unused) {
    const pid_t own = (pid_t)syscall(SYS_gettid), process = getpid();
    pid_t threads[MAX_THREADS];
    int n = 0;
    for (unsigned i = 0;; i++) {
        if (i % 64 == 0)
            n = list_threads(threads, own);
        if (n > 0)
            (void)syscall(SYS_tgkill, process, threads[next_random() % (uint32_t)n], noise_signal);
        sleep_us((long)(next_random() % 2048) * between_us / 1024 / (n > 0 ? n : 1));
    }
    return unused;
}

/* Nobody blocks the signal, not even those who block all. */
static const sigset_t *without(const sigset_t *set, sigset_t *copy, int how) {
    if (set == NULL || how == SIG_UNBLOCK || noise_signal == 0)
        return set;
    *copy = *set;
    sigdelset(copy, noise_signal);
    return copy;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before) {
    int (*const real)(int, const sigset_t *, sigset_t *) =
        (int (*)(int, const sigset_t *, sigset_t *))dlsym(RTLD_NEXT, "pthread_sigmask");
    sigset_t copy;
    return real(how, without(set, &copy, how), before);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before) {
    int (*const real)(int, const sigset_t *, sigset_t *) =
        (int (*)(int, const sigset_t *, sigset_t *))dlsym(RTLD_NEXT, "sigprocmask");
    sigset_t copy;
    return real(how, without(set, &copy, how), before);
}

__attribute__((constructor)) static void begin(void) {
    const char *const seed = getenv("NOISE"), *const us = getenv("NOISE_US");
    const char *const name = program_invocation_short_name;
    const struct sigaction action = {.sa_handler = lose_cpu, .sa_flags = SA_RESTART};
    sigset_t all, before;
    pthread_t thread;
    if (strcmp(name, "bise") != 0 && strncmp(name, "stress_", 7) != 0)
        return;
    noise_signal = SIGRTMIN + 5;
    atomic_store(&random_state, (unsigned)((seed ? atol(seed) : time(NULL)) ^ getpid() << 8));
    between_us = us && atol(us) > 0 ? atol(us) : between_us;
    sigaction(noise_signal, &action, NULL);
    sigfillset(&all); /* the program's signals are its own threads' */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, make_noise, NULL) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
