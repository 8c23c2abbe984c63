/* Drafts from the text itself: the same tokens in fewer calls. */
#ifndef BISE_TOOLS_COMMON_SPECULATE_H
#define BISE_TOOLS_COMMON_SPECULATE_H

#include "src/sampling/lookup.h"
#include "tools/common/id_list.h"
#include "tools/common/runtime.h"

struct speculation {
    struct lookup lookup;
    size_t max;                   /* ids of a draft; 0: no drafts */
    float *logits;                /* [max + 1][vocab_size] of a run with a draft */
    int32_t call[LOOKUP_MAX + 1]; /* its ids: the text's last, then the draft */
    int32_t guess[LOOKUP_MAX];    /* [n_guess] what was expected, run or not */
    size_t n_guess, n_followed, match;
    size_t n_calls, n_drafted, n_taken;
};

/* Takes all its memory. Returns an exit code, the fault said on stderr; speculation_close is due in
 * any case. */
int speculation_open(struct speculation *s, struct runtime *e, size_t max);
void speculation_close(struct speculation *s);

/* A new text begins. */
void speculation_begin(struct speculation *s);
/* Adds a draft to a run of the text's last id, if one is worth it; at most max ids in all. */
void speculation_draft(struct speculation *s, const struct id_list *text, struct bise_run *run,
                       size_t max);
/* A run of n ids took so long; 0: that is not known. */
void speculation_timed(struct speculation *s, size_t n, double seconds);
/* Judges what was expected by the id that came. */
void speculation_judge(struct speculation *s, int32_t id);

/* What another one has drafted counts here too. */
void speculation_add(struct speculation *s, const struct speculation *other);
/* One line, if there were drafts. */
void speculation_print(const struct speculation *s, FILE *to);

#endif
