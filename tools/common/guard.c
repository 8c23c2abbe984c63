#include "tools/common/guard.h"

#include "src/base/error.h"
#include "tools/common/buffer.h"

#include <string.h>

#define GAP "\n\n" /* between the guard and the user's own prompt */

bool guard_is_on(const struct chat *c) {
    const size_t len = strlen(GUARD_PROMPT);
    const char *system = chat_system(c);
    if (!system || strncmp(system, GUARD_PROMPT, len) != 0)
        return false;
    return !system[len] || strncmp(system + len, GAP, strlen(GAP)) == 0;
}

static enum bise_status set_system(struct chat *c, bool on, const char *text,
                                   struct bise_error *err) {
    struct buffer b = {.len = 0};
    if (on)
        buffer_text(&b, GUARD_PROMPT);
    if (on && *text)
        buffer_text(&b, GAP);
    buffer_text(&b, text);
    const enum bise_status status =
        b.failed ? bise_fail(err, BISE_ERR_MEMORY, "no memory for the system prompt")
                 : chat_set_system(c, b.bytes, b.len, err);
    buffer_free(&b);
    return status;
}

enum bise_status guard_set(struct chat *c, bool on, struct bise_error *err) {
    const char *own = chat_system(c);
    if (!own)
        own = "";
    if (guard_is_on(c)) {
        own += strlen(GUARD_PROMPT);
        own += *own ? strlen(GAP) : 0;
    }
    return set_system(c, on, own, err);
}

enum bise_status guard_set_system(struct chat *c, const char *text, struct bise_error *err) {
    return set_system(c, guard_is_on(c), text, err);
}
