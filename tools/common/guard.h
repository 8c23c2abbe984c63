/* The guardrail of the Mistral 7B paper (arXiv 2310.06825, section 5.1): a system prompt that
 * stands in front of the user's own. Whether it is on is read from the conversation: saved ones
 * keep it. */
#ifndef BISE_TOOLS_COMMON_GUARD_H
#define BISE_TOOLS_COMMON_GUARD_H

#include "src/text/chat.h"

#define GUARD_PROMPT                                                                               \
    "Always assist with care, respect, and truth. Respond with utmost utility yet securely. "      \
    "Avoid harmful, unethical, prejudiced, or negative content. Ensure replies promote fairness "  \
    "and positivity."

bool guard_is_on(const struct chat *c);
/* Errors: MEMORY; nothing has changed then. */
enum bise_status guard_set(struct chat *c, bool on, struct bise_error *err);
/* As chat_set_system, the guard staying as it is. */
enum bise_status guard_set_system(struct chat *c, const char *text, struct bise_error *err);

#endif
