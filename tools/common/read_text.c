#include "tools/common/read_text.h"

#include "src/base/array.h"
#include "src/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

int read_text(const char *path, size_t max, char **text, size_t *len) {
    const char *const name = name_of(path);
    const bool from_stdin = name != path;
    size_t cap = 0;
    int code = EXIT_DONE;
    *text = NULL;
    *len = 0;
    FILE *f = from_stdin ? stdin : fopen(path, "rb");
    if (!f)
        return refuse(EXIT_INPUT, "%s: %s", name, strerror(errno));
    do {
        if (!array_grow(text, &cap, *len + 65536, 1))
            code = refuse(EXIT_MEMORY, "%s: no memory for its text", name);
        else
            *len += fread(*text + *len, 1, cap - *len - 1, f);
    } while (!code && !feof(f) && !ferror(f) && *len <= max);
    if (!code && *len > max)
        code = refuse(EXIT_INPUT, "%s: expected at most %zu bytes", name, max);
    else if (!code && ferror(f))
        code = refuse(EXIT_INPUT, "%s: reading failed: %s", name, strerror(errno));
    if (!from_stdin)
        fclose(f);
    if (!code) {
        (*text)[*len] = 0;
    } else {
        free(*text);
        *text = NULL;
    }
    return code;
}

int read_utf8(const char *path, char **text, size_t *len) {
    const int code = read_text(path, ANY_LENGTH, text, len);
    const size_t invalid = code ? *len : utf8_invalid_at(*text, *len);
    if (invalid == *len)
        return code;
    refuse(EXIT_USAGE, "%s: expected text in UTF-8, found byte 0x%02x at offset %zu", name_of(path),
           (unsigned)(unsigned char)(*text)[invalid], invalid);
    free(*text);
    *text = NULL;
    return EXIT_USAGE;
}

bool read_text_line(FILE *f, char **line, size_t *cap, size_t *len, int *error) {
    errno = 0;
    const ssize_t n = getline(line, cap, f);
    const int found = errno;
    const bool cut = ferror(f);
    *error = 0;
    *len = n > 0 ? (size_t)n : 0;
    if (n > 0 && !cut)
        return true;
    if (cut || !feof(f)) /* without either: no memory */
        *error = found == EINTR ? 0 : found ? found : EIO;
    if (cut)
        clearerr(f);
    return false;
}

bool ids_from_text(const char *text, int64_t most, struct id_list *list, const char **bad) {
    static const char between[] = " ,\t\r\n";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        char *end;
        errno = 0;
        const long long id = strtoll(text, &end, 10);
        const bool good = end != text && !errno && id >= 0 && id <= most && strchr(between, *end);
        *bad = good ? NULL : text;
        if (!good || !id_list_add(list, (int32_t)id))
            return false;
        text = end;
    }
    return true;
}
