/* bise chat --jsonl: the chat as programs have it. */
#ifndef BISE_TOOLS_CHAT_JSONL_H
#define BISE_TOOLS_CHAT_JSONL_H

#include "tools/chat/console.h"

/* One JSON object a line comes in on standard input, {"content": "..."}, with "role": "user" or
 * "system" where it is to be said; for each, one goes out: {"role": "assistant", "content": "...",
 * "finish": "...", "tokens": N, "prompt_tokens": N}, {"role": "system", "ok": true}, or {"error":
 * "..."}, after which the conversation is as it was before the line. Returns an exit code. */
int console_jsonl(struct console *t);

#endif
