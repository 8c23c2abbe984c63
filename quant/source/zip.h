/* Zip archives as torch writes them: entries stored, not compressed, often with zip64 fields.
 * PKWARE's APPNOTE.TXT 6.3. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_ZIP_H
#define BISE_QUANT_SOURCE_ZIP_H

#include "src/base/error.h"

#define ZIP_MAX_DIRECTORY (16u << 20) /* bytes of the central directory */

struct zip_entry {
    const char *name;
    uint64_t offset, size; /* of its bytes in the file */
};

struct zip {
    struct zip_entry *entries; /* sorted by name */
    size_t n;
    char *names;
};

/* Reads the central directory of a file of size bytes and the local header of every entry. Every
 * entry lies before the directory. path is for messages. Errors: IO, FORMAT, UNSUPPORTED
 * (compressed or encrypted entries, several disks), MEMORY. */
enum bise_status zip_open(struct zip *z, int fd, const char *path, uint64_t size,
                          struct bise_error *err);
/* The entry called folder [folder_len] followed by name; NULL if there is none. */
const struct zip_entry *zip_find(const struct zip *z, const char *folder, size_t folder_len,
                                 const char *name);
void zip_close(struct zip *z);

#endif
