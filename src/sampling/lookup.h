/*
 * Prompt lookup: a draft of what may come is what followed where the text's last tokens stood
 * before; the model then checks several tokens in one call (speculative decoding, arXiv 2211.17192,
 * with the text itself as the draft's source). How many are worth checking follows from how often
 * such guesses came true and from what calls of each length took: both are learnt on the way. A
 * guess costs nothing to be judged, whether the model ran it or not.
 */
#ifndef BISE_SRC_SAMPLING_LOOKUP_H
#define BISE_SRC_SAMPLING_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOKUP_MAX                                                                                 \
    14 /* ids of a draft: with the one before them fewer than 16, decode arithmetic */
#define LOOKUP_MATCH 8 /* last ids that are compared at most */

struct lookup {
    double hits[LOOKUP_MATCH + 1];  /* by the ids that matched: share of guesses that came true */
    double seconds[LOOKUP_MAX + 2]; /* of a call by its ids; 0: not known */
};

void lookup_begin(struct lookup *l);

/* The draft after ids [n], in out [max], max <= LOOKUP_MAX: what followed the latest of the longest
 * matches, again and again where that reaches the end. Returns its length, 0 without a match;
 * *match: how many last ids matched, at most LOOKUP_MATCH. */
size_t lookup_find(const int32_t *ids, size_t n, int32_t *out, size_t max, size_t *match);

/* How many of a draft's ids (at most max) are worth running. */
size_t lookup_choose(struct lookup *l, size_t match, size_t max);

/* A guess after so many matching ids came true or not. */
void lookup_learn(struct lookup *l, size_t match, bool hit);
/* A call with n ids, 1 .. LOOKUP_MAX + 1, took so long. */
void lookup_timed(struct lookup *l, size_t n, double seconds);

#endif
