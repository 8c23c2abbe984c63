#include "src/engine/sequence.h"

#include "src/base/error.h"

typedef unsigned long long ull; /* for %llu */

uint64_t sequence_oldest(const struct sequence *s) {
    const uint64_t ring = s->kv.ring;
    return s->filled - s->kept_from > ring ? s->filled - ring : s->kept_from;
}

void sequence_begin(struct sequence *s, uint64_t pos) {
    s->start_pos = s->kept_from = s->ids_from = s->pos = s->filled = pos;
    s->has_logits = false;
}

uint64_t sequence_sees(const struct sequence *s, const struct bise_plan *plan, uint64_t pos) {
    const uint64_t window = plan->window;
    return window > 0 && pos - s->start_pos >= window ? pos - window + 1 : s->start_pos;
}

uint64_t sequence_oldest_id(const struct sequence *s, const struct bise_plan *plan) {
    const uint64_t n = plan->n_ctx;
    return s->filled - s->ids_from > n ? s->filled - n : s->ids_from;
}

void sequence_keep_ids(struct sequence *s, const struct bise_plan *plan, uint64_t pos,
                       const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        s->ids[(pos + i) % plan->n_ctx] = ids[i];
}

enum bise_status sequence_check(const struct sequence *s, const struct bise_plan *plan,
                                uint64_t reach, uint64_t pos, struct bise_error *err) {
    if (pos < s->start_pos || pos > s->pos)
        return bise_fail(err, BISE_ERR_ARG,
                         "going back: expected position %llu to %llu, found %llu",
                         (ull)s->start_pos, (ull)s->pos, (ull)pos);
    if (s->start_pos != s->opened_at && pos - s->start_pos < reach - 1)
        return bise_fail(
            err, BISE_ERR_CONTEXT,
            "position %llu depends on what was before position %llu, where this begins", (ull)pos,
            (ull)s->start_pos);
    const uint64_t held = sequence_oldest(s), seen = sequence_sees(s, plan, pos);
    if (seen < held)
        return bise_fail(err, BISE_ERR_CONTEXT,
                         "position %llu needs the cache from %llu on, which begins at %llu",
                         (ull)pos, (ull)seen, (ull)held);
    return BISE_OK;
}

enum bise_status sequence_check_room(const struct sequence *s, const struct bise_plan *plan,
                                     size_t n, struct bise_error *err) {
    const uint64_t left = s->start_pos + plan->n_ctx - s->pos;
    if (plan->window > 0 || n <= left)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_CONTEXT,
                     "%zu tokens, but the context of %u has room for %llu: %llu too many", n,
                     plan->n_ctx, (ull)left, (ull)(n - left));
}
