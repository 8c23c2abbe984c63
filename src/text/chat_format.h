/* The formats of conversations that models were trained on, by name; chat.h says what they are. */
#ifndef BISE_SRC_TEXT_CHAT_FORMAT_H
#define BISE_SRC_TEXT_CHAT_FORMAT_H

#include "src/bise.h"

#define MAX_EOS 16u /* ids that may end an answer */

enum chat_format {
    CHAT_UNKNOWN = 0, /* not certain from the source: must be asked for */
    CHAT_NONE,        /* a base model */
    CHAT_V1,
    CHAT_V3,
    CHAT_CHATML,
    CHAT_ZEPHYR,
    CHAT_LLAMA2,
    CHAT_FORMAT_COUNT
};

/* "v1" ...; "" for CHAT_UNKNOWN. */
const char *chat_format_name(enum chat_format f);
/* CHAT_FORMAT_COUNT if unknown. */
enum chat_format chat_format_from_name(const char *name);

#endif
