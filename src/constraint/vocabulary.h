/* The pieces of a vocabulary as a tree of their prefixes. */
#ifndef BISE_SRC_CONSTRAINT_VOCABULARY_H
#define BISE_SRC_CONSTRAINT_VOCABULARY_H

#include "src/bise.h"

struct tokenizer;

/* Nodes in the order of their texts, each before those it begins: a node's subtree are the nodes up
 * to its skip. Node 0 is the empty prefix. */
struct vocabulary {
    size_t n_nodes, n_ids;
    uint8_t *bytes;   /* [n_nodes] the last of the prefix */
    uint16_t *depths; /* [n_nodes] its length */
    uint32_t *skips;  /* [n_nodes] */
    uint32_t *firsts; /* [n_nodes + 1] in ids: those whose piece the prefix is */
    int32_t *ids;
    uint32_t longest; /* bytes of a piece */
};

/* Of the pieces below n_vocab that have text. False without memory. */
bool vocabulary_open(struct vocabulary *v, const struct tokenizer *t, size_t n_vocab);
void vocabulary_close(struct vocabulary *v);

/* The text of a piece as it stands in an answer, NULL with *len 0 where it has none. */
const char *vocabulary_piece(const struct tokenizer *t, int32_t id, size_t *len);

#endif
