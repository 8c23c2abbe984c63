#include "src/engine/plan.h"

#include "src/base/error.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_CONTEXT 8192u
#define LEAST_CONTEXT   256u /* a default context is not made smaller than this to fit */
#define DEFAULT_CHUNK   256u
#define DEFAULT_SPARE   1024u
#define MAX_CHUNK       8192u
#define MAX_SEQUENCES   1024u
#define LARGEST_CONTEXT (1u << 20) /* looked for; more than any of the family was trained on */

const char *bise_kv_name(enum bise_kv kv) {
    static const char *const names[BISE_KV_COUNT] = {"auto", "i8", "f16", "f32", "i4"};
    return (unsigned)kv < BISE_KV_COUNT ? names[kv] : NULL;
}

static enum bise_kv default_kv(const struct bise_model *model) {
    const enum tensor_type type = model->layers[0].w1[0]->type;
    return type == TYPE_F32 || type == TYPE_BF16 ? BISE_KV_F32 : BISE_KV_I8;
}

/* Checks the parameters and turns them into the plan's choices. */
static enum bise_status choose(const struct bise_model *model, const struct bise_engine_params *p,
                               struct bise_plan *plan, struct bise_error *err) {
    const struct model_config *const c = &model->config;
    if (p->n_ctx > MAX_CONTEXT)
        return bise_fail(err, BISE_ERR_ARG, "context: at most %u tokens, found %u", MAX_CONTEXT,
                         p->n_ctx);
    if (p->chunk > MAX_CHUNK)
        return bise_fail(err, BISE_ERR_ARG, "chunk: at most %u tokens, found %u", MAX_CHUNK,
                         p->chunk);
    if (p->window < -1 || p->window > MAX_CONTEXT)
        return bise_fail(err, BISE_ERR_ARG, "window: expected -1 to %u, found %lld", MAX_CONTEXT,
                         (long long)p->window);
    if (p->start_pos > MAX_START_POSITION)
        return bise_fail(err, BISE_ERR_ARG, "start position: at most %llu, found %llu",
                         (unsigned long long)MAX_START_POSITION, (unsigned long long)p->start_pos);
    if ((unsigned)p->kv >= BISE_KV_COUNT)
        return bise_fail(err, BISE_ERR_ARG, "cache type: unknown number %d", (int)p->kv);
    if (p->n_threads < 0 || p->n_threads > POOL_MAX_THREADS)
        return bise_fail(err, BISE_ERR_ARG, "threads: expected 1 to %d, found %d", POOL_MAX_THREADS,
                         p->n_threads);
    if (p->n_seqs > MAX_SEQUENCES)
        return bise_fail(err, BISE_ERR_ARG, "sequences: at most %u, found %u", MAX_SEQUENCES,
                         p->n_seqs);
    if (p->spare > MAX_CONTEXT && p->spare != BISE_SPARE_NONE)
        return bise_fail(err, BISE_ERR_ARG, "spare positions: at most %u, found %u", MAX_CONTEXT,
                         p->spare);
    const uint32_t trained = c->max_context > 0 ? c->max_context : DEFAULT_CONTEXT;
    plan->n_ctx = p->n_ctx > 0 ? p->n_ctx : trained < DEFAULT_CONTEXT ? trained : DEFAULT_CONTEXT;
    plan->window = p->window >= 0 ? (uint32_t)p->window : c->window;
    if (plan->window > MAX_CONTEXT)
        plan->window = 0; /* wider than any context: none */
    plan->n_sinks = 0;
    if (plan->window == 0 && p->n_sinks > 0) {
        if (p->start_pos != 0 || p->n_sinks > plan->n_ctx / 2)
            return bise_fail(err, BISE_ERR_ARG,
                             "sinks: expected at most %u, half of the context, from position 0, "
                             "found %u from %llu",
                             plan->n_ctx / 2, p->n_sinks, (unsigned long long)p->start_pos);
        plan->n_sinks = (uint32_t)round_up(p->n_sinks, ATTN_GROUP);
        plan->window = plan->n_ctx > plan->n_sinks ? plan->n_ctx - plan->n_sinks : 1;
    }
    plan->chunk = p->chunk > 0 ? p->chunk : DEFAULT_CHUNK;
    plan->n_seqs = p->n_seqs > 0 ? p->n_seqs : 1;
    plan->columns = plan->chunk + plan->n_seqs - 1;
    plan->kv = p->kv != BISE_KV_AUTO ? p->kv : default_kv(model);
    plan->n_threads = p->n_threads > 0 ? p->n_threads : cpu_default_threads();
    return BISE_OK;
}

/* Sizes that follow from the choices. False on overflow. */
static bool measure(const struct bise_model *model, const struct bise_engine_params *p,
                    struct bise_plan *plan, struct kv_cache *kv) {
    const struct model_config *const c = &model->config;
    struct buffers b;
    struct kv_cache sinks;
    size_t scratch, sum, cache;
    const uint32_t spare = p->spare == 0                 ? DEFAULT_SPARE
                           : p->spare == BISE_SPARE_NONE ? 0
                                                         : p->spare;
    plan->ring = (uint32_t)kv_ring(plan->window, plan->n_ctx, plan->chunk, spare, p->start_pos);
    if (!kv_layout(kv, plan->kv, c->n_layers, c->n_kv_heads, c->head_dim, plan->ring) ||
        !kv_layout(&sinks, plan->kv, c->n_layers, c->n_kv_heads, c->head_dim, plan->n_sinks) ||
        !buffers_layout(&b, NULL, &scratch, model, plan) ||
        !add_ok(kv->bytes, sinks.bytes, &cache) || !mul_ok(cache, plan->n_seqs, &cache) ||
        !add_ok(cache, scratch, &sum) || !add_ok(sum, plan->weights, &sum))
        return false;
    plan->cache = cache;
    plan->scratch = scratch;
    plan->total = sum;
    return true;
}

/* Whether what is not yet in memory fits. A mapped file's pages are counted: without them in
 * memory every token would read them from disk. */
static bool fits(const struct bise_model *model, const struct bise_plan *plan) {
    const uint64_t left = plan->available < plan->limit ? plan->available : plan->limit;
    const uint64_t need = model->map_is_copy ? plan->total - plan->weights : plan->total;
    return need <= left;
}

/* The largest n_ctx that fits with the plan's other choices. */
static uint32_t largest_context(const struct bise_model *model,
                                const struct bise_engine_params *params,
                                const struct bise_plan *plan) {
    uint32_t fitting = 0, beyond = LARGEST_CONTEXT + 1;
    while (beyond - fitting > 1) {
        struct bise_plan p = *plan;
        struct kv_cache kv;
        p.n_ctx = fitting + (beyond - fitting) / 2;
        if (measure(model, params, &p, &kv) && fits(model, &p))
            fitting = p.n_ctx;
        else
            beyond = p.n_ctx;
    }
    return fitting;
}

/* A smaller type of cache with which the plan would fit, the best of them; AUTO: none. */
static enum bise_kv fitting_type(const struct bise_model *model,
                                 const struct bise_engine_params *params,
                                 const struct bise_plan *plan) {
    static const enum bise_kv types[] = {BISE_KV_F16, BISE_KV_I8, BISE_KV_I4};
    const size_t now = kv_position_bytes(plan->kv, model->config.head_dim);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct bise_plan p = *plan;
        struct kv_cache kv;
        p.kv = types[i];
        if (kv_position_bytes(p.kv, model->config.head_dim) < now &&
            measure(model, params, &p, &kv) && fits(model, &p))
            return p.kv;
    }
    return BISE_KV_AUTO;
}

/* BISE_ERR_MEMORY: what is needed, what there is, what would fit. */
static enum bise_status too_much(const struct bise_plan *plan, struct bise_error *err) {
    const uint64_t left = plan->available < plan->limit ? plan->available : plan->limit;
    char advice[96] = "a model with fewer parameters or bits is needed: no context fits";
    if (plan->largest_ctx > 0)
        snprintf(advice, sizeof advice, "a context of %u tokens%s%s would fit", plan->largest_ctx,
                 plan->kv_fits ? ", or a cache of type " : "",
                 plan->kv_fits ? bise_kv_name(plan->kv_fits) : "");
    return bise_fail(
        err, BISE_ERR_MEMORY,
        "needs %llu MiB (weights %llu, cache %llu for %u positions, scratch %llu), "
        "%llu MiB are free; %s",
        (unsigned long long)(plan->total >> 20), (unsigned long long)(plan->weights >> 20),
        (unsigned long long)(plan->cache >> 20), plan->ring,
        (unsigned long long)(plan->scratch >> 20), (unsigned long long)(left >> 20), advice);
}

enum bise_status plan_engine(const struct bise_model *model,
                             const struct bise_engine_params *params, struct bise_plan *plan,
                             struct kv_cache *kv, struct bise_error *err) {
    const struct bise_engine_params defaults = {.window = -1};
    const struct bise_engine_params *const p = params ? params : &defaults;
    memset(plan, 0, sizeof *plan);
    if (model->layers == NULL)
        return bise_fail(err, BISE_ERR_ARG, "the model was opened without its tensors");
    enum bise_status status = choose(model, p, plan, err);
    if (status != BISE_OK)
        return status;
    struct mem_facts facts;
    mem_facts(&facts);
    plan->ram = facts.ram;
    plan->available = facts.available;
    plan->weights = model->info.weight_bytes;
    /* A mapped file takes its addresses already, but counts as needed in what follows. */
    const uint64_t mapped = model->map_is_copy ? 0 : plan->weights;
    const uint64_t addresses =
        facts.addresses < UINT64_MAX - mapped ? facts.addresses + mapped : UINT64_MAX;
    plan->limit = facts.limit < addresses ? facts.limit : addresses;
    bool ok = measure(model, p, plan, kv);
    while (ok && !fits(model, plan) && p->n_ctx == 0 && plan->window == 0 &&
           plan->n_ctx / 2 >= LEAST_CONTEXT) {
        plan->n_ctx /= 2;
        ok = measure(model, p, plan, kv);
    }
    if (!ok)
        return bise_fail(err, BISE_ERR_MEMORY,
                         "the engine's memory is beyond this machine's words");
    plan->largest_ctx = largest_context(model, p, plan);
    if (fits(model, plan))
        return BISE_OK;
    plan->kv_fits = fitting_type(model, p, plan);
    return too_much(plan, err);
}

enum bise_status bise_plan(const struct bise_model *model, const struct bise_engine_params *params,
                           struct bise_plan *plan, struct bise_error *err) {
    struct kv_cache kv;
    return plan_engine(model, params, plan, &kv, err);
}
