#include "quant/source/stacked.h"

#include "quant/source/blocks.h"
#include <stdlib.h>
#include <string.h>

static const char experts[] = ".feed_forward.experts.";

bool is_expert(const char *name) {
    return strstr(name, experts) != NULL;
}

/* The whole's shape: two dimensions, or with the number of experts before them three. */
static enum bise_status check_whole(const struct raw_tensor *whole, const char *path,
                                    const uint64_t shape[3], unsigned n_dims,
                                    struct bise_error *err) {
    bool same = whole->n_dims == n_dims;
    if (whole->type > RAW_BF16)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: tensor %s: expected dtype F32, F16 or BF16, found %s", path,
                         whole->name, whole->dtype);
    for (unsigned i = 0; i < n_dims; i++)
        same = same && whole->shape[i] == shape[i];
    if (same)
        return BISE_OK;
    char expected[96], found[96];
    raw_print_shape(expected, sizeof expected, shape, n_dims);
    raw_print_shape(found, sizeof found, whole->shape, whole->n_dims);
    return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected shape %s, found %s", path,
                     whole->name, expected, found);
}

enum bise_status stacked_part(const struct source *s, const char *name, uint32_t n_rows,
                              uint32_t n_cols, struct raw_tensor *part, struct bise_error *err) {
    char origin[64], *end = NULL;
    const unsigned long expert = strtoul(strstr(name, experts) + strlen(experts), &end, 10);
    const uint64_t n_experts = s->config.n_experts, dim = s->config.dim, ffn = s->config.ffn_dim;
    const bool fused = s->naming == NAMING_FUSED, is_w2 = end[2] == '2'; /* ".w2" */
    origin_name(origin, sizeof origin, name, s->naming);
    const struct raw_tensor *whole = raw_find(&s->raw, origin);
    if (!whole)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: missing tensor %s", s->raw.files[0].path,
                         origin);
    const uint64_t stacked[3] = {n_experts * ffn, dim}, up[3] = {n_experts, 2 * ffn, dim},
                   down[3] = {n_experts, dim, ffn};
    const enum bise_status status = check_whole(whole, s->raw.files[whole->file].path,
                                                !fused  ? stacked
                                                : is_w2 ? down
                                                        : up,
                                                fused ? 3 : 2, err);
    if (status)
        return status;
    const uint64_t in_each = fused && !is_w2 ? 2 : 1; /* matrices of an expert in this tensor */
    *part = *whole;
    part->whole = whole;
    part->transposed = !fused && is_w2;
    part->n_dims = 2;
    part->shape[0] = n_rows;
    part->shape[1] = n_cols;
    part->bytes = whole->bytes / (n_experts * in_each);
    part->offset += (expert * in_each + (in_each == 2 && end[2] == '3')) * part->bytes;
    return BISE_OK;
}
