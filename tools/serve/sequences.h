/* Which sequence a prompt goes to, and how much of it is there already. */
#ifndef BISE_TOOLS_SERVE_SEQUENCES_H
#define BISE_TOOLS_SERVE_SEQUENCES_H

#include "tools/serve/call.h"

struct sequence {
    struct choice *choice; /* NULL: free */
    struct id_list ids; /* in the cache are the first n_held; its choice's generator adds to them */
    size_t n_held;
    uint32_t key;    /* whose it is */
    uint64_t used;   /* when it was given to a choice last; 0: never */
    size_t n_prompt; /* of these the last prompt's */
    int32_t *stable; /* [n_stable] what its conversation goes on to begin with */
    size_t n_stable;
    int32_t *foreseen; /* [n_foreseen] what its next prompt will begin with; NULL: not known */
    size_t n_foreseen;
};

struct placement {
    uint32_t to, from; /* equal: the sequence goes back; else a copy is taken */
    size_t common;     /* ids that are there already, fewer than the prompt's */
};

/* A place for the prompt ids [n] of this key. A free sequence is taken over if the prompt keeps
 * what its conversation goes on to begin with; else the one unused for longest gets the longest
 * beginning there is anywhere. False: none is free. */
bool sequences_place(const struct sequence *s, uint32_t n_seqs, const int32_t *ids, size_t n,
                     uint32_t key, struct placement *p);
/* The next best source for the same place, with less in common than p->common; false: none. */
bool sequences_next_source(const struct sequence *s, uint32_t n_seqs, const int32_t *ids, size_t n,
                           uint32_t key, struct placement *p);
/* Its ids are these, of which it holds the first n_held. False without memory:
 * it counts as holding none. */
bool sequence_set(struct sequence *q, const int32_t *ids, size_t n, size_t n_held);
void sequence_forget(struct sequence *q);
size_t common_ids(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);

#endif
