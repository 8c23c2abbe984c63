#include "quant/source/stacked.h"

#include "quant/source/blocks.h"
#include <stdlib.h>
#include <string.h>

static const char experts[] = ".feed_forward.experts.";

bool is_expert(const char *name) {
    return strstr(name, experts) != NULL;
}

enum bise_status stacked_part(const struct source *s, const char *name, uint32_t n_rows,
                              uint32_t n_cols, struct raw_tensor *part, struct bise_error *err) {
    char origin[64], *end = NULL;
    const unsigned long expert = strtoul(strstr(name, experts) + strlen(experts), &end, 10);
    const uint64_t n_experts = s->config.n_experts, dim = s->config.dim, ffn = s->config.ffn_dim;
    origin_name(origin, sizeof origin, name, NAMING_STACKED);
    const struct raw_tensor *whole = raw_find(&s->raw, origin);
    if (!whole)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: missing tensor %s", s->raw.files[0].path,
                         origin);
    const char *path = s->raw.files[whole->file].path;
    if (whole->type > RAW_BF16)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: tensor %s: expected dtype F32, F16 or BF16, found %s", path, origin,
                         whole->dtype);
    if (whole->n_dims != 2 || whole->shape[0] != n_experts * ffn || whole->shape[1] != dim)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: expected shape [%llu][%llu], found [%llu][%llu]", path,
                         origin, (unsigned long long)(n_experts * ffn), (unsigned long long)dim,
                         (unsigned long long)whole->shape[0], (unsigned long long)whole->shape[1]);
    *part = *whole;
    part->whole = whole;
    part->transposed = end[2] == '2'; /* ".w2" */
    part->shape[0] = n_rows;
    part->shape[1] = n_cols;
    part->bytes = whole->bytes / n_experts;
    part->offset += expert * part->bytes;
    return BISE_OK;
}
