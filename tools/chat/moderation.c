#include "tools/chat/moderation.h"

#include "tools/common/interrupt.h"
#include "tools/edit/color.h"

/* Whether text may pass; if not, that has been said. */
static bool passes(struct console *t, enum chat_role role, const char *text, size_t len,
                   int *code) {
    const char *refusal =
        role == CHAT_USER ? "your message is not answered" : "the answer is withheld";
    struct bise_error err = {0};
    struct verdict v;
    const enum bise_status status = moderation_judge(&t->moderation, role, text, len, &v, &err);
    *code = status ? report(status, &err) : EXIT_DONE;
    if (status)
        say_note("(%s: it could not be judged)", refusal);
    else if (v.category != NOT_MODERATED)
        say_note("(%s: %s, %.0f %%)", refusal, moderation_category(v.category),
                 100 * v.p[v.category]);
    return !status && v.category == NOT_MODERATED;
}

bool console_judge_message(struct console *t, const char *text, size_t len, int *code) {
    *code = EXIT_DONE;
    return !t->options.moderate || passes(t, CHAT_USER, text, len, code);
}

int console_judge_answer(struct console *t) {
    struct conversation *c = &t->conversation;
    struct buffer *held = &t->held_answer;
    int code = EXIT_DONE;
    if (!t->options.moderate)
        return EXIT_DONE;
    interrupt_clear(); /* what stopped the answer is not to stop this */
    if (held->failed) {
        complain("no memory for the answer");
        code = EXIT_MEMORY;
    } else if (!held->len || passes(t, CHAT_ASSISTANT, held->bytes, held->len, &code)) {
        text_out_release(&c->out);
        return c->out.failed ? EXIT_FAILED : EXIT_DONE;
    }
    chat_pop(c->chat); /* what is not shown is not part of the conversation */
    chat_pop(c->chat);
    c->out.last = '\n';
    buffer_clear(held);
    return code;
}
