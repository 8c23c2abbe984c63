/* bise chat --moderate: messages are judged before they are sent, answers before they are shown. */
#ifndef BISE_TOOLS_CHAT_MODERATION_H
#define BISE_TOOLS_CHAT_MODERATION_H

#include "tools/chat/console.h"

/* Whether the message may be sent; if not, that has been said. *code: an exit code, the fault said
 * on stderr. Without --moderate: true. */
bool console_judge_message(struct console *t, const char *text, size_t len, int *code);
/* Shows the answer that was held back, or takes it and its message back. Returns an exit code:
 * FAILED where it could not be shown, else the fault of judging it, said on stderr. */
int console_judge_answer(struct console *t);

#endif
