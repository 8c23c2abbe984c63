#include "quant/codebook_choice.h"

#include "quant/round/quantize.h"
#include "src/base/error.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLES 4    /* panels, spread over the matrix */
#define CLEARLY 0.97 /* of the default codebook's error */

enum bise_status choose_codebook(const int8_t **out, const struct source *source, size_t i,
                                 const float *weights, struct bise_error *err) {
    static const int8_t *const codebooks[] = {codebook_default, codebook_tails};
    size_t n_tensors;
    const struct source_tensor *const t = &source_tensors(source, &n_tensors)[i];
    const size_t cols = t->cols, bytes = panel_bytes(TYPE_I4, round_up(cols, TILE_K));
    const uint32_t n = t->rows < PANEL_ROWS ? t->rows : PANEL_ROWS;
    float *const rows = malloc((n * cols + quantize_scratch_floats(cols)) * sizeof *rows);
    uint8_t *const panel = mem_alloc(bytes);
    struct rounding_sums sums[2];
    enum bise_status s = BISE_OK;
    memset(sums, 0, sizeof sums);
    *out = codebook_default;
    if (!rows || !panel)
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for a sample of %s", t->name);
    for (uint32_t sample = 0; sample < SAMPLES && s == BISE_OK; sample++) {
        const uint32_t first = (uint32_t)((uint64_t)(t->rows - n) * sample / SAMPLES);
        s = source_read_rows(source, i, first, n, rows, err);
        for (size_t c = 0; c < 2 && s == BISE_OK; c++) {
            const struct rounding how = {
                .type = TYPE_I4, .codebook = codebooks[c], .weights = weights};
            quantize_panel(panel, &how, rows, n, cols, rows + n * cols, &sums[c]);
        }
    }
    if (s == BISE_OK && sums[1].weighted_error < CLEARLY * sums[0].weighted_error)
        *out = codebook_tails;
    mem_free(panel, bytes);
    free(rows);
    return s;
}
