#include "tools/common/write_file.h"

#include "src/base/error.h"
#include "src/os/new_file.h"
#include "tools/common/tools.h"

enum bise_status write_file(const char *path, const struct buffer *b, struct bise_error *err) {
    if (b->failed)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for what is to be written", path);
    return new_file_whole(path, NEW_FILE_SHARED, b->bytes, b->len, err);
}

int write_place(const char *path) {
    struct new_file file = {.fd = -1};
    struct bise_error err = {0};
    const enum bise_status s = new_file_create(&file, path, NEW_FILE_SHARED, &err);
    new_file_abort(&file);
    return s ? report(s, &err) : EXIT_DONE;
}
