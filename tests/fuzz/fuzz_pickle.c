/* Any bytes as a pickle, or, where they begin as a zip archive does, as a file of torch; every
 * tensor accepted lies within its storage and within the file. */
#include "quant/source/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_pickle(const uint8_t *data, size_t size) {
    struct pickle_tensor *t = NULL;
    struct bise_error err;
    size_t n = 0;
    const enum bise_status s = pickle_read(data, size, "fuzz.pkl", &t, &n, &err);
    if ((s == BISE_OK) != (n > 0))
        abort();
    for (size_t i = 0; i < n; i++)
        if (t[i].offset > t[i].storage_elements ||
            t[i].n_elements > t[i].storage_elements - t[i].offset || t[i].name.len == 0 ||
            memchr(t[i].name.data, 0, t[i].name.len))
            abort();
    free(t);
}

static void read_archive(const uint8_t *data, size_t size) {
    struct raw_set set = {0};
    struct bise_error err;
    char path[64];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (raw_add_torch(&set, path, &err) == BISE_OK)
        for (size_t i = 0; i < set.n_tensors; i++)
            if (set.tensors[i].offset > size || set.tensors[i].bytes > size - set.tensors[i].offset)
                abort();
    raw_close(&set);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 2 && memcmp(data, "PK", 2) == 0)
        read_archive(data, size);
    else if (size > 0)
        read_pickle(data, size);
    return 0;
}
