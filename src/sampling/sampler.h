/* A sampler's state as bytes of a session's file: random numbers, then the ids it looks back at. */
#ifndef BISE_SRC_SAMPLING_SAMPLER_H
#define BISE_SRC_SAMPLING_SAMPLER_H

#include "src/bise.h"

#define SAMPLER_MAX_RECENT (1u << 20)

/* The random numbers' state [4]. Setting one that is all zero is refused: it yields nothing else.
 */
void sampler_random(const struct bise_sampler *s, uint64_t state[4]);
bool sampler_set_random(struct bise_sampler *s, const uint64_t state[4]);

/* Ids seen, oldest first: how many there are, and the i-th. */
uint32_t sampler_n_recent(const struct bise_sampler *s);
int32_t sampler_recent(const struct bise_sampler *s, uint32_t i);

/* As after opening. */
void sampler_reset(struct bise_sampler *s);

#endif
