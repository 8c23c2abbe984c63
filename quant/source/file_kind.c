#include "quant/source/file_kind.h"

#include "quant/source/raw.h"
#include "src/base/bytes.h"
#include "src/os/file.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 512u

const char *file_kind_name(enum file_kind kind) {
    static const char *const names[] = {[FILE_SAFETENSORS] = "safetensors",
                                        [FILE_TORCH] = "torch",
                                        [FILE_GGUF] = "GGUF",
                                        [FILE_BISE] = ".bise"};
    return names[kind];
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether text [n] begins so, whatever the case of its letters. */
static bool begins(const char *text, size_t n, const char *begin) {
    for (; *begin; begin++, text++, n--)
        if (n == 0 || lower(*text) != lower(*begin))
            return false;
    return true;
}

bool begins_with_any_case(const char *name, const char *begin) {
    return begins(name, strlen(name), begin);
}

bool ends_with_any_case(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && begins(name + n - m, m, end);
}

bool is_unfinished(const char *name) {
    static const char *const ends[] = {".incomplete", ".part",     ".crdownload", ".aria2",
                                       ".partial",    ".download", ".tmp"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with_any_case(name, ends[i]))
            return true;
    return false;
}

bool is_lfs_pointer(const uint8_t *bytes, size_t len, uint64_t *size) {
    static const char first[] = "version https://git-lfs.github.com/spec/", field[] = "\nsize ";
    *size = 0;
    if (len < sizeof first - 1 || memcmp(bytes, first, sizeof first - 1) != 0)
        return false;
    for (size_t i = 0; i + sizeof field - 1 < len; i++)
        if (memcmp(bytes + i, field, sizeof field - 1) == 0)
            for (i += sizeof field - 1; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
                *size = *size < UINT64_MAX / 20 ? 10 * *size + (uint64_t)(bytes[i] - '0') : *size;
    return true;
}

enum bise_status refuse_stand_in(const char *path, const uint8_t *bytes, size_t len,
                                 struct bise_error *err) {
    uint64_t size;
    size_t blank = 0;
    if (is_lfs_pointer(bytes, len, &size))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is a git-lfs pointer, not the file of %llu bytes it stands for: `git "
                         "lfs pull` in its folder, or a download, brings that",
                         path, (unsigned long long)size);
    if (len >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is compressed by gzip: unpack it first", path);
    while (blank < len && strchr(" \t\r\n\xef\xbb\xbf", bytes[blank]) && bytes[blank])
        blank++;
    const char *text = (const char *)bytes + blank;
    if (begins(text, len - blank, "<!doctype") || begins(text, len - blank, "<html") ||
        begins(text, len - blank, "<?xml"))
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s is a page of HTML or XML, as a server sends instead of a file (does it "
            "ask for a log-in?): download it again",
            path);
    return BISE_OK;
}

/* Formats from before GGUF. */
static enum bise_status refuse_ggml(const char *path, const uint8_t *bytes, size_t len,
                                    struct bise_error *err) {
    static const char *const magics[] = {"lmgg", "fmgg", "tjgg", "algg"}; /* as they lie there */
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (len >= 4 && memcmp(bytes, magics[i], 4) == 0)
            return bise_fail(err, BISE_ERR_UNSUPPORTED,
                             "%s is a ggml file from before GGUF (August 2023): take the model's "
                             "GGUF file (Q8_0 or F16) or its original checkpoint",
                             path);
    return BISE_OK;
}

/* Whether the bytes begin a safetensors file: the length of a header within the file, then JSON. */
static bool is_safetensors(const uint8_t *bytes, size_t len, uint64_t size) {
    return len > 8 && get_u64(bytes) <= size - 8 && bytes[8] == '{';
}

static bool kind_of_bytes(const uint8_t *bytes, size_t len, uint64_t size, enum file_kind *kind) {
    if (len >= 4 && memcmp(bytes, "GGUF", 4) == 0)
        *kind = FILE_GGUF;
    else if (len >= 4 && memcmp(bytes, "BISE", 4) == 0)
        *kind = FILE_BISE;
    else if (len >= 2 &&
             (memcmp(bytes, "PK", 2) == 0 || (bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5)))
        *kind = FILE_TORCH; /* a zip archive, or the pickle of an older one */
    else if (is_safetensors(bytes, len, size))
        *kind = FILE_SAFETENSORS;
    else
        return false;
    return true;
}

static bool kind_of_name(const char *name, enum file_kind *kind) {
    static const struct {
        const char *end;
        enum file_kind kind;
    } ends[] = {{".safetensors", FILE_SAFETENSORS},
                {".pth", FILE_TORCH},
                {".pt", FILE_TORCH},
                {".bin", FILE_TORCH},
                {".gguf", FILE_GGUF},
                {".bise", FILE_BISE}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with_any_case(name, ends[i].end)) {
            *kind = ends[i].kind;
            return true;
        }
    return false;
}

enum bise_status file_kind_of(const char *path, enum file_kind *kind, struct bise_error *err) {
    uint8_t bytes[FIRST_BYTES] = {0};
    uint64_t size = 0;
    int fd = -1;
    if (is_unfinished(path))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: by its name a download that is not finished: let it finish, or begin "
                         "it again",
                         path);
    enum bise_status s = file_open(path, &fd, &size, err);
    const size_t len = size < sizeof bytes ? (size_t)size : sizeof bytes;
    if (!s)
        s = file_read_at(fd, path, 0, bytes, len, err);
    file_close(&fd);
    if (!s)
        s = refuse_stand_in(path, bytes, len, err);
    if (!s)
        s = refuse_ggml(path, bytes, len, err);
    if (s || kind_of_bytes(bytes, len, size, kind) || kind_of_name(path, kind))
        return s;
    return bise_fail(
        err, BISE_ERR_UNSUPPORTED,
        "%s: expected a folder, a .bise, .safetensors, .pth, .pt, .bin or .gguf file, found a "
        "file of another kind",
        path);
}
