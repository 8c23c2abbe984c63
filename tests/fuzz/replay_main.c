/* Runs a fuzz target over every file of the folders and files given: the corpus as a test. Each
 * runs on a thread whose stack is looked at afterwards: whatever a file, a grammar, a schema or a
 * request says, 64 KB are enough. (The corpus has the deepest ones that are taken, and deeper ones.
 * A model at work is another matter: its kernels take as much, and threads have a megabyte.) */
#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STACK_BYTES ((size_t)1 << 20)
#define STACK_LIMIT ((size_t)64 << 10)
#define UNUSED      0xa5

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_MEASURED 0 /* their frames are larger */
#elif defined(__has_feature)
#define IS_MEASURED (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define IS_MEASURED 1
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static size_t most_stack;
static char deepest[4096];

static void *run_input(void *arg) {
    const struct input *const in = arg;
    LLVMFuzzerTestOneInput(in->data, in->size);
    return NULL;
}

static void *run_nothing(void *arg) {
    return arg;
}

/* Bytes of the stack that a thread used for fn; SIZE_MAX: it could not be started. */
static size_t stack_of(void *(*fn)(void *), void *arg) {
    pthread_attr_t attributes;
    pthread_t id;
    size_t used = SIZE_MAX;
    uint8_t *const stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return SIZE_MAX;
    memset(stack, UNUSED, STACK_BYTES);
    if (pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_setstack(&attributes, stack, STACK_BYTES) == 0 &&
            pthread_create(&id, &attributes, fn, arg) == 0 && pthread_join(id, NULL) == 0) {
            size_t unused = 0;
            while (unused < STACK_BYTES && stack[unused] == UNUSED)
                unused++;
            used = STACK_BYTES - unused;
        }
        pthread_attr_destroy(&attributes);
    }
    munmap(stack, STACK_BYTES);
    return used;
}

/* Once on this thread first, for what the target makes for all of its runs. */
static bool run_measured(const char *path, struct input *in) {
    static size_t libc_needs;
    run_input(in);
    if (!IS_MEASURED)
        return true;
    if (libc_needs == 0)
        libc_needs = stack_of(run_nothing, NULL);
    const size_t used = stack_of(run_input, in);
    if (used == SIZE_MAX || libc_needs == SIZE_MAX) {
        printf("not ok %s: no thread for it\n", path);
        return false;
    }
    if (used - libc_needs > most_stack) {
        most_stack = used - libc_needs;
        snprintf(deepest, sizeof deepest, "%s", path);
    }
    return true;
}

/* Returns the number of inputs run, -1 where one could not be read. */
static long replay_file(const char *path) {
    long result = -1;
    uint8_t *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        goto out;
    const long size = ftell(f);
    if (size < 0 || fseek(f, 0, SEEK_SET) != 0)
        goto out;
    /* Exactly size bytes, so that a sanitizer sees a read past the end. */
    data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        goto out;
    if (!run_measured(path, &(struct input){data, (size_t)size}))
        goto failed;
    result = 1;
out:
    if (result < 0)
        printf("not ok %s: cannot be read\n", path);
failed:
    free(data);
    if (f)
        fclose(f);
    return result;
}

static long replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        printf("not ok %s: no such corpus\n", path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *dir = opendir(path);
    if (!dir) {
        printf("not ok %s: cannot be read\n", path);
        return -1;
    }
    long n = 0;
    for (const struct dirent *e = readdir(dir); e && n >= 0; e = readdir(dir)) {
        char name[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        const long m = replay(name);
        n = m < 0 ? -1 : n + m;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv) {
    long n = 0;
    for (int i = 1; i < argc && n >= 0; i++) {
        const long m = replay(argv[i]);
        n = m < 0 ? -1 : n + m;
    }
    if (n == 0)
        printf("not ok corpus: no inputs\n");
    if (n > 0)
        printf("ok %ld inputs\n", n);
    const char *const name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    const bool runs_model = strcmp(name, "replay_run") == 0 || strcmp(name, "replay_serve") == 0;
    const bool too_deep = most_stack > (runs_model ? STACK_BYTES / 2 : STACK_LIMIT);
    if (most_stack > 0)
        printf("%s stack: %zu bytes at most, in %s\n", too_deep ? "not ok" : "ok", most_stack,
               deepest);
    return n <= 0 || too_deep;
}
