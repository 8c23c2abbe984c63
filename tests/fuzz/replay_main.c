/* Runs a fuzz target over every file of the folders and files given: the corpus as a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    LLVMFuzzerTestOneInput(data, (size_t)size);
    result = 1;
out:
    if (result < 0)
        printf("not ok %s: cannot be read\n", path);
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
    return n <= 0;
}
