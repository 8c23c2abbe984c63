/* The kernel table as a whole, and rows as floats. What the kernels compute is checkkernels'. */
#include "kernels/kernels.h"
#include "quant/round/quantize.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(kernels, names_of_instruction_sets) {
    for (int isa = 0; isa < ISA_COUNT; isa++)
        cr_expect_eq(isa_from_name(isa_name((enum isa)isa)), (enum isa)isa);
    cr_expect_str_eq(isa_name(ISA_NEON_DOTPROD), "neon_dotprod");
    cr_expect_eq(isa_from_name("avx"), ISA_COUNT);
    cr_expect_eq(isa_from_name(""), ISA_COUNT);
    cr_expect_str_eq(isa_name(ISA_COUNT), "unknown");
}

Test(kernels, every_table_that_is_built_has_every_slot) {
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct kernels k;
        memset(&k, 0, sizeof k);
        const bool built = kernels_init(&k, (enum isa)isa);
        cr_expect_eq(built, kernels_built((enum isa)isa));
        if (!built)
            continue;
        cr_expect_eq(k.isa, (enum isa)isa);
        cr_expect_str_eq(k.name, isa_name((enum isa)isa));
        const size_t first = offsetof(struct kernels, matmul_f32_q128_i4);
        for (size_t at = first; at < sizeof k; at += sizeof(void (*)(void))) {
            static const unsigned char empty[sizeof(void (*)(void))];
            cr_expect(memcmp((const char *)&k + at, empty, sizeof empty) != 0,
                      "%s: slot at offset %zu is empty", k.name, at);
        }
    }
    cr_expect(kernels_built(ISA_SCALAR));
    cr_expect_not(kernels_built(ISA_COUNT));
}

#define ROWS 11
#define COLS 200

/* A panel of rows x [ROWS][COLS] of a type, and what dequantize_row makes of it. */
static void expect_rows(enum tensor_type type, float tolerance) {
    const size_t k = round_up(COLS, TILE_K);
    static float x[ROWS * COLS], row[256];
    for (size_t i = 0; i < ROWS * COLS; i++)
        x[i] = (float)((i * 2654435761u >> 8) % 2001) * 1e-3f - 1.0f;
    uint8_t *panel = aligned_alloc(64, round_up(panel_bytes(type, k), 64));
    float *scratch = malloc(quantize_scratch_floats(COLS) * sizeof *scratch);
    cr_assert(panel != NULL && scratch != NULL);
    const struct rounding how = {.type = type, .codebook = codebook_default};
    struct rounding_sums sums = {0};
    quantize_panel(panel, &how, x, ROWS, COLS, scratch, &sums);
    const struct wmat w = {.panels = panel, .k = k, .codebook = codebook_default};
    double err2_found = 0.0;
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        dequantize_row(row, type, &w, r);
        for (size_t i = 0; i < k; i++) {
            const float want = r < ROWS && i < COLS ? x[r * COLS + i] : 0.0f;
            cr_assert(fabsf(row[i] - want) <= tolerance, "type %d, row %zu, %zu: %g, not %g",
                      (int)type, r, i, (double)row[i], (double)want);
            if (r < ROWS && i < COLS) /* i4 has no exact zero for columns that are padding */
                err2_found += ((double)row[i] - want) * ((double)row[i] - want);
        }
    }
    cr_expect(fabs(err2_found - sums.error) <= 1e-3 * sums.error + 1e-9,
              "type %d: error %g, told %g", (int)type, err2_found, sums.error);
    free(scratch);
    free(panel);
}

Test(kernels, dequantized_rows_are_those_that_were_quantized) {
    expect_rows(TYPE_F32, 0.0f);
    expect_rows(TYPE_BF16, 0x1p-9f);
    expect_rows(TYPE_I8, 0.01f);
    expect_rows(TYPE_I4, 0.15f);
}
