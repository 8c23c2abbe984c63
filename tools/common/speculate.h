/* Decoding with drafts from the text itself: the same tokens in fewer calls. */
#ifndef BISE_TOOLS_COMMON_SPECULATE_H
#define BISE_TOOLS_COMMON_SPECULATE_H

#include "src/sampling/lookup.h"
#include "tools/common/runtime.h"

struct speculation {
    struct runtime *runtime;
    struct lookup lookup;
    size_t max;       /* ids of a draft; 0: no drafts */
    float *logits;    /* [max + 1][vocab_size] of the last call, where it had several ids */
    int32_t *history; /* [2 * keep] the text's last ids, at least keep of them */
    size_t n_history, keep;
    int32_t call[LOOKUP_MAX + 1]; /* [n_call] ids of the last call: one picked, then a draft */
    size_t n_call, at;            /* at: the id of the call whose logits are next */
    int32_t guess[LOOKUP_MAX];    /* [n_guess] what was expected, run or not */
    size_t n_guess, n_followed, match;
    size_t n_calls, n_drafted, n_taken;
};

/* Takes all its memory. max 0: speculation_step is runtime_decode. Returns an exit code, the fault
 * said on stderr; speculation_close is due in any case. */
int speculation_open(struct speculation *s, struct runtime *e, size_t max);
void speculation_close(struct speculation *s);

/* An answer begins where the session is. */
void speculation_begin(struct speculation *s);
/* Logits [vocab_size] of the last id. */
const float *speculation_logits(const struct speculation *s);
/* As runtime_decode. The session may be ahead of the text until the end. */
enum bise_status speculation_step(struct speculation *s, int32_t id, struct bise_error *err);
/* The session goes back to the last id. */
void speculation_end(struct speculation *s);

/* One line, if there were drafts. */
void speculation_print(const struct speculation *s, FILE *to);

#endif
