/*
 * Content moderation by self-reflection, as the Mistral 7B paper describes it (arXiv 2310.06825,
 * section 5.2): the model itself is asked which category a text falls into. The answer is not
 * generated but scored: at every place where the categories' names part, only the tokens that go on
 * with one of them are weighed, so that the probabilities of all categories add up to one.
 */
#ifndef BISE_TOOLS_COMMON_MODERATION_H
#define BISE_TOOLS_COMMON_MODERATION_H

#include "src/text/chat.h"
#include "tools/common/runtime.h"

enum { NOT_MODERATED, N_CATEGORIES = 14 };

/* The name of category i, 0 .. N_CATEGORIES - 1; 0: not moderated. */
const char *moderation_category(int i);

#define MODERATION_NAME_IDS 24

struct moderation {
    const struct bise_model *model;
    struct bise_session *session, *own; /* own: NULL where it is the runtime's */
    struct chat *chat;
    enum chat_format format;
    double threshold; /* what all categories together must have to count; -1: one beats none */
    int32_t names[N_CATEGORIES][MODERATION_NAME_IDS]; /* [n_name] ids, the end's last */
    size_t n_name[N_CATEGORIES];
    int32_t *held; /* [n_held] ids of the last question */
    size_t n_held;
};

struct verdict {
    double p[N_CATEGORIES];
    int category; /* NOT_MODERATED, or the likeliest of the others */
};

/* o: those of the runtime, for a session beside the runtime's; NULL: the runtime's own is used,
 * which then must not be used otherwise.
 * Returns an exit code, the fault said on stderr; moderation_close is due in any case. */
int moderation_open(struct moderation *m, const struct runtime *e, const struct runtime_options *o,
                    enum chat_format format);
void moderation_close(struct moderation *m);

/* Judges text (len bytes of UTF-8), which a user or the assistant wrote. Errors: ARG (not UTF-8),
 * CONTEXT (longer than the model can see at once: nothing is cut), INTERRUPTED, MEMORY,
 * NONFINITE. */
enum bise_status moderation_judge(struct moderation *m, enum chat_role role, const char *text,
                                  size_t len, struct verdict *v, struct bise_error *err);

#endif
