#include "src/model/config.h"

#include "src/base/error.h"

#include <math.h>

static enum bise_status check_range(const char *what, uint32_t value, uint32_t lo, uint32_t hi,
                                    const char *where, struct bise_error *err) {
    if (value >= lo && value <= hi)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_FORMAT, "%s: %s: expected %u to %u, found %u", where, what, lo,
                     hi, value);
}

static enum bise_status check_sizes(const struct model_config *c, const char *where,
                                    struct bise_error *err) {
    const struct {
        const char *what;
        uint32_t value, lo, hi;
    } ranges[] = {
        {"hidden size", c->dim, 1, MAX_DIM},
        {"number of layers", c->n_layers, 1, MAX_LAYERS},
        {"number of heads", c->n_heads, 1, MAX_DIM},
        {"number of KV heads", c->n_kv_heads, 1, MAX_DIM},
        {"head dimension", c->head_dim, 2, MAX_HEAD_DIM},
        {"feed-forward size", c->ffn_dim, 1, MAX_DIM},
        {"vocabulary size", c->vocab_size, 1, MAX_VOCAB},
        {"number of experts", c->n_experts, 0, MAX_EXPERTS},
        {"experts per token", c->n_experts_used, c->n_experts > 0, c->n_experts},
        {"sliding window", c->window, 0, MAX_POSITIONS},
        {"longest context", c->max_context, 0, MAX_POSITIONS},
        {"number of end-of-sequence ids", c->n_eos, 0, MAX_EOS},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const enum bise_status s =
            check_range(ranges[i].what, ranges[i].value, ranges[i].lo, ranges[i].hi, where, err);
        if (s != BISE_OK)
            return s;
    }
    return BISE_OK;
}

static enum bise_status check_heads(const struct model_config *c, const char *where,
                                    struct bise_error *err) {
    if (c->n_heads % c->n_kv_heads != 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the number of heads must be a multiple of the number of KV heads, "
                         "found %u and %u",
                         where, c->n_heads, c->n_kv_heads);
    if (c->head_dim % 2 != 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: head dimension must be even, found %u", where,
                         c->head_dim);
    /* Both at most 2^20 here: no overflow in 64 bits. */
    if ((uint64_t)c->n_heads * c->head_dim > MAX_DIM)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: heads times head dimension: expected at most %u, found %u times %u",
                         where, MAX_DIM, c->n_heads, c->head_dim);
    return BISE_OK;
}

enum bise_status config_check(const struct model_config *c, const char *where,
                              struct bise_error *err) {
    enum bise_status s = check_sizes(c, where, err);
    if (s == BISE_OK)
        s = check_heads(c, where, err);
    if (s != BISE_OK)
        return s;
    if (!(isfinite(c->rope_theta) && c->rope_theta >= 1 && c->rope_theta <= 1e15))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: RoPE theta: expected 1 to 1e15, found %g",
                         where, c->rope_theta);
    if (!(isfinite(c->norm_eps) && c->norm_eps > 0 && c->norm_eps < 1))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: RMSNorm epsilon: expected more than 0 and less than 1, found %g",
                         where, (double)c->norm_eps);
    if (c->bos_id < -1 || (c->bos_id >= 0 && (uint32_t)c->bos_id >= c->vocab_size))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: beginning-of-sequence id: expected -1 (none) or less than the "
                         "vocabulary size %u, found %d",
                         where, c->vocab_size, c->bos_id);
    for (uint32_t i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] < 0 || (uint32_t)c->eos_ids[i] >= c->vocab_size)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: end-of-sequence id %u: expected less than the vocabulary size "
                             "%u, found %d",
                             where, i, c->vocab_size, c->eos_ids[i]);
    if ((unsigned)c->chat >= CHAT_FORMAT_COUNT)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: unknown chat format %u", where,
                         (unsigned)c->chat);
    return BISE_OK;
}
