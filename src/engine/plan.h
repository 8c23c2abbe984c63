/* What an engine will use, decided before anything is allocated. */
#ifndef BISE_SRC_ENGINE_PLAN_H
#define BISE_SRC_ENGINE_PLAN_H

#include "src/engine/buffers.h"
#include "src/engine/kv.h"

#define MAX_CONTEXT        (1u << 24)
#define MAX_START_POSITION ((uint64_t)1 << 49) /* rope_table is exact to 2^50 */

/* bise_plan, and a sequence's cache laid out (memory NULL). */
enum bise_status plan_engine(const struct bise_model *model,
                             const struct bise_engine_params *params, struct bise_plan *plan,
                             struct kv_cache *kv, struct bise_error *err);

#endif
