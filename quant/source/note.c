#include "quant/source/note.h"

#include "src/base/shown.h"

#include <stdarg.h>

void note_add(struct note *note, const char *fmt, ...) {
    va_list args;
    if (!note)
        return;
    va_start(args, fmt);
    const int n = show_vformat(note->text + note->len, note->cap - note->len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= note->cap - note->len) {
        note->text[note->len] = 0;
        return;
    }
    note->len += (size_t)n;
    note->text[note->len++] = '\n';
    note->text[note->len] = 0;
}
