/* One conversation of an engine: its cache, its last ids, and where it is. */
#ifndef BISE_SRC_ENGINE_SEQUENCE_H
#define BISE_SRC_ENGINE_SEQUENCE_H

#include "src/engine/kv.h"

struct sequence {
    struct kv_cache kv;
    struct kv_cache sinks; /* of the first plan.n_sinks positions; no memory where there are none */
    int32_t *ids;          /* [n_ctx]: ring of the last ids */
    float *logits;         /* [vocab_size] of the last id, where has_logits */
    bool has_logits;
    uint64_t opened_at; /* start_pos of the parameters */
    uint64_t start_pos; /* of the first token there is */
    uint64_t kept_from; /* lowest position whose keys and values were ever there: what was loaded */
    uint64_t ids_from;  /* lowest position whose id was ever there */
    uint64_t pos;       /* of the next token */
    uint64_t filled;    /* 1 + the highest position ever written since the last reset */
};

/* Lowest position that the cache still holds. */
uint64_t sequence_oldest(const struct sequence *s);
/* The next token is at pos, and nothing was before; sinks stay. */
void sequence_begin(struct sequence *s, uint64_t pos);
/* Lowest position, sinks aside, that a token at pos sees. */
uint64_t sequence_sees(const struct sequence *s, const struct bise_plan *plan, uint64_t pos);
/* Lowest position whose id is still there. */
uint64_t sequence_oldest_id(const struct sequence *s, const struct bise_plan *plan);
/* Keeps ids [n] as those at pos and behind. */
void sequence_keep_ids(struct sequence *s, const struct bise_plan *plan, uint64_t pos,
                       const int32_t *ids, size_t n);
/* Whether the sequence, or a copy of it, may go on at pos. Errors: ARG, CONTEXT. */
enum bise_status sequence_check(const struct sequence *s, const struct bise_plan *plan,
                                uint64_t reach, uint64_t pos, struct bise_error *err);

/* Whether n more tokens have room. Errors: CONTEXT. */
enum bise_status sequence_check_room(const struct sequence *s, const struct bise_plan *plan,
                                     size_t n, struct bise_error *err);

#endif
