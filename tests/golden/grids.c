/*
 * What other programs' 4-bit formats make of weights, to compare with: llama.cpp's Q4_0 (blocks of
 * 32, scale by the largest magnitude, in fp16) and IQ4_NL (16 fixed values, scale searched, fp16).
 *
 *   grids q4_0|iq4_nl IN.bise OUT.bise   layer matrices of IN rounded so, all tensors as f32
 *   grids                                checks their errors on normal samples against
 *                                        architecture.md's table
 */
#include "kernels/float_formats.h"
#include "quant/round/quantize.h"
#include "quant/source/source.h"
#include "quant/write/writer.h"
#include "src/base/random.h"
#include "src/model/shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void q4_0(float *x) {
    float peak = 0;
    for (int i = 0; i < BLOCK_K; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    const float d = peak / -8, factor = d != 0 ? 1 / d : 0, stored = f16_to_f32(f32_to_f16(d));
    for (int i = 0; i < BLOCK_K; i++) {
        const int q = (int)(x[i] * factor + 8.5f);
        x[i] = stored * (float)((q < 15 ? q : 15) - 8);
    }
}

static float nearest_nl(float u) {
    static const float values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};
    float best = values[0];
    for (int i = 1; i < 16; i++)
        if (fabsf(u - values[i]) < fabsf(u - best))
            best = values[i];
    return best;
}

/* The scale of least squared error: the peak lands anywhere near either end, then least squares. */
static void iq4_nl(float *x) {
    float peak = 0, scale = 0, most = -1;
    for (int i = 0; i < BLOCK_K; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    for (int n = 0; n < 80 && peak != 0; n++) {
        const float end = n % 2 ? -127.0f : 113.0f;
        const float d = peak / (end * (0.8f + 0.01f * (float)(n / 2)));
        float xv = 0, vv = 0;
        for (int i = 0; i < BLOCK_K; i++) {
            const float v = nearest_nl(x[i] / d);
            xv += x[i] * v;
            vv += v * v;
        }
        if (xv * xv > most * vv) {
            most = xv * xv / vv;
            scale = xv / vv;
        }
    }
    const float stored = f16_to_f32(f32_to_f16(scale));
    for (int i = 0; i < BLOCK_K; i++)
        x[i] = stored != 0 ? stored * nearest_nl(x[i] / stored) : 0;
}

typedef void round_fn(float *x);

/* Rows of whole blocks; a rest of fewer than 32 columns is filled with zeros. */
static void round_row(round_fn *round, float *x, size_t cols) {
    for (size_t at = 0; at < cols; at += BLOCK_K) {
        float block[BLOCK_K] = {0};
        const size_t n = cols - at < BLOCK_K ? cols - at : BLOCK_K;
        memcpy(block, x + at, n * sizeof *x);
        round(block);
        memcpy(x + at, block, n * sizeof *x);
    }
}

static bool convert_tensor(const struct source *source, struct writer *w, size_t i,
                           const struct tensor_shape *t, round_fn *round) {
    const size_t k = round_up(t->cols, TILE_K), bytes = panel_bytes(TYPE_F32, k);
    const bool rounded = !t->is_vector && !t->is_router && strncmp(t->name, "layers.", 7) == 0;
    const struct rounding how = {.type = TYPE_F32};
    struct rounding_sums sums = {0};
    float *rows = calloc(PANEL_ROWS * k, sizeof *rows);
    uint8_t *panel = aligned_alloc(64, bytes);
    bool ok = rows && panel;
    for (uint32_t row = 0; row < t->rows && ok; row += PANEL_ROWS) {
        const uint32_t n = t->rows - row < PANEL_ROWS ? t->rows - row : PANEL_ROWS;
        ok = source_read_rows(source, i, row, n, rows, NULL) == BISE_OK;
        for (uint32_t r = 0; r < n && rounded && ok; r++)
            round_row(round, rows + r * t->cols, t->cols);
        if (ok && t->is_vector) {
            ok = writer_put(w, i, 0, rows, t->cols * sizeof *rows, NULL) == BISE_OK;
        } else if (ok) {
            quantize_panel(panel, &how, rows, n, t->cols, NULL, &sums);
            ok = writer_put(w, i, row / PANEL_ROWS * bytes, panel, bytes, NULL) == BISE_OK;
        }
    }
    writer_set_tensor(w, i, NULL, 0);
    free(rows);
    free(panel);
    return ok;
}

static bool convert(round_fn *round, const char *in, const char *out) {
    struct source *source = NULL;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    struct writer *w = NULL;
    char note[256];
    size_t n = 0;
    bool ok = source_open(&source, in, note, sizeof note, NULL) == BISE_OK &&
              config_shapes(source_config(source), &shapes, &n, NULL) == BISE_OK &&
              (tensors = calloc(n, sizeof *tensors)) != NULL;
    for (size_t i = 0; i < n && ok; i++)
        tensors[i] = (struct writer_tensor){shapes[i].name, TYPE_F32, shapes[i].rows,
                                            shapes[i].cols, shapes[i].is_vector};
    ok = ok && writer_open(&w, out,
                           &(struct writer_plan){
                               .config = source_config(source), .tensors = tensors, .n_tensors = n},
                           NULL) == BISE_OK;
    for (size_t i = 0; i < n && ok; i++)
        ok = convert_tensor(source, w, i, &shapes[i], round);
    ok = ok && writer_finish(&w, NULL) == BISE_OK;
    writer_abort(&w);
    free(tensors);
    free(shapes);
    source_close(&source);
    return ok;
}

/* Relative squared error on normal samples, 1e-3. */
static double error_of(round_fn *round) {
    struct random_state state;
    double error = 0, norm = 0;
    random_seed(&state, 1);
    for (int block = 0; block < 20000; block++) {
        float x[BLOCK_K], y[BLOCK_K];
        for (int i = 0; i < BLOCK_K; i++) {
            const double u = 1 - random_unit(&state);
            x[i] = (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * random_unit(&state)));
        }
        memcpy(y, x, sizeof y);
        round(y);
        for (int i = 0; i < BLOCK_K; i++) {
            error += pow((double)x[i] - (double)y[i], 2);
            norm += pow((double)x[i], 2);
        }
    }
    return 1e3 * error / norm;
}

static int check(const char *name, round_fn *round, double want) {
    const double found = error_of(round);
    const bool ok = fabs(found - want) < 0.02 * want;
    printf("%s %s: error %.2fe-3, expected %.2fe-3\n", ok ? "ok" : "not ok", name, found, want);
    return !ok;
}

int main(int argc, char **argv) {
    if (argc == 1)
        return check("q4_0", q4_0, 7.41) + check("iq4_nl", iq4_nl, 5.38);
    if (argc != 4 || (strcmp(argv[1], "q4_0") != 0 && strcmp(argv[1], "iq4_nl") != 0)) {
        fprintf(stderr, "usage: grids [q4_0|iq4_nl IN.bise OUT.bise]\n");
        return 2;
    }
    if (convert(argv[1][0] == 'q' ? q4_0 : iq4_nl, argv[2], argv[3]))
        return 0;
    fprintf(stderr, "grids: %s could not be rounded into %s\n", argv[2], argv[3]);
    return 1;
}
