#include "tools/common/read_text.h"

#include "src/base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int read_text(const char *path, size_t max, char **text, size_t *len) {
    const bool from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "standard input" : path;
    size_t cap = 0;
    int code = EXIT_DONE;
    *text = NULL;
    *len = 0;
    FILE *f = from_stdin ? stdin : fopen(path, "rb");
    if (!f) {
        return refuse(EXIT_INPUT, "%s: %s", name, strerror(errno));
    }
    do {
        if (!array_grow(text, &cap, *len + 65536, 1)) {
            complain("%s: no memory for its text", name);
            code = EXIT_MEMORY;
            goto done;
        }
        *len += fread(*text + *len, 1, cap - *len - 1, f);
    } while (!feof(f) && !ferror(f) && *len <= max);
    if (*len > max) {
        complain("%s: expected at most %zu bytes", name, max);
        code = EXIT_INPUT;
        goto done;
    }
    if (ferror(f)) {
        complain("%s: reading failed: %s", name, strerror(errno));
        code = EXIT_INPUT;
        goto done;
    }
    (*text)[*len] = 0;
done:
    if (!from_stdin)
        fclose(f);
    if (code) {
        free(*text);
        *text = NULL;
    }
    return code;
}
