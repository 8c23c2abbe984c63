#include "src/text/chat_format.h"

#include <string.h>

static const char *const chat_names[CHAT_FORMAT_COUNT] = {
    [CHAT_UNKNOWN] = "",      [CHAT_NONE] = "none",     [CHAT_V1] = "v1",         [CHAT_V3] = "v3",
    [CHAT_CHATML] = "chatml", [CHAT_ZEPHYR] = "zephyr", [CHAT_LLAMA2] = "llama2",
};

const char *chat_format_name(enum chat_format f) {
    return (unsigned)f < CHAT_FORMAT_COUNT ? chat_names[f] : "";
}

enum chat_format chat_format_from_name(const char *name) {
    for (unsigned i = CHAT_UNKNOWN + 1; i < CHAT_FORMAT_COUNT; i++)
        if (strcmp(name, chat_names[i]) == 0)
            return (enum chat_format)i;
    return CHAT_FORMAT_COUNT;
}
