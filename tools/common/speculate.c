#include "tools/common/speculate.h"

#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_BACK 16384 /* ids in which drafts are looked for */

int speculation_open(struct speculation *s, struct runtime *e, size_t max) {
    *s = (struct speculation){.max = max};
    lookup_begin(&s->lookup);
    if (s->max >= e->plan.chunk)
        s->max = e->plan.chunk - 1;
    if (!s->max)
        return EXIT_DONE;
    s->logits = malloc((s->max + 1) * (size_t)e->info->vocab_size * sizeof *s->logits);
    if (s->logits)
        return EXIT_DONE;
    return refuse(EXIT_MEMORY, "--lookup: no memory");
}

void speculation_close(struct speculation *s) {
    free(s->logits);
    s->logits = NULL;
    s->max = 0;
}

void speculation_begin(struct speculation *s) {
    s->n_guess = s->n_followed = 0;
}

void speculation_judge(struct speculation *s, int32_t id) {
    if (s->n_followed == s->n_guess)
        return;
    const bool hit = s->guess[s->n_followed] == id;
    lookup_learn(&s->lookup, s->match + s->n_followed, hit);
    if (hit)
        s->n_followed++;
    else
        s->n_guess = s->n_followed = 0;
}

void speculation_draft(struct speculation *s, const struct id_list *text, struct bise_run *run,
                       size_t max) {
    const size_t n = text->n < LOOK_BACK ? text->n : LOOK_BACK;
    const size_t most = s->max < max ? s->max : max - 1;
    s->n_guess = lookup_find(text->ids + (text->n - n), n, s->guess, most, &s->match);
    s->n_followed = 0;
    const size_t n_draft = lookup_choose(&s->lookup, s->match, s->n_guess);
    if (n_draft == 0)
        return;
    s->call[0] = run->ids[0];
    memcpy(s->call + 1, s->guess, n_draft * sizeof *s->guess);
    run->ids = s->call;
    run->n = 1 + n_draft;
    run->want = BISE_WANT_ALL;
    run->logits = s->logits;
}

void speculation_timed(struct speculation *s, size_t n, double seconds) {
    if (seconds > 0)
        lookup_timed(&s->lookup, n, seconds);
    s->n_calls++;
    s->n_drafted += n - 1;
}

void speculation_add(struct speculation *s, const struct speculation *other) {
    s->n_calls += other->n_calls;
    s->n_drafted += other->n_drafted;
    s->n_taken += other->n_taken;
}

void speculation_print(const struct speculation *s, FILE *to) {
    if (s->n_drafted)
        print_to(to, "lookup: %zu of %zu drafted tokens taken, %.2f tokens a call\n", s->n_taken,
                 s->n_drafted, (double)(s->n_taken + s->n_calls) / (double)s->n_calls);
}
