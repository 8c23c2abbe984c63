/* Random weights that look like trained ones. */
#include "tools/cmd/synth.h"

#include "kernels/float_formats.h"
#include "kernels/layout.h"

#include <math.h>
#include <string.h>

/* Student's t with 6 degrees of freedom, as ../shared/ref's random checkpoints: a normal variate
 * over the root of a chi-squared one, scaled to unit variance. */
void synth_init_table(struct synth *s) {
    struct random_state r;
    double sum = 0;
    random_seed(&r, s->seed);
    for (unsigned i = 0; i < SYNTH_TABLE; i++) {
        double product = 1;
        for (int j = 0; j < 3; j++)
            product *= 1 - random_unit(&r);
        const double radius = sqrt(-2 * log(1 - random_unit(&r)));
        const double normal = radius * cos(6.283185307179586 * random_unit(&r));
        const double x = fabs(normal) / sqrt(-2 * log(product) / 6);
        s->normal[i] = (float)x;
        sum += x * x;
    }
    const double factor = sqrt(SYNTH_TABLE / sum);
    for (unsigned i = 0; i < SYNTH_TABLE; i++)
        s->normal[i] = (float)(s->normal[i] * factor);
}

/* One value from 16 random bits: 12 choose the magnitude, one the sign. */
static inline float pick(const float *table, uint16_t bits) {
    const float x = table[bits & (SYNTH_TABLE - 1)];
    return bits & SYNTH_TABLE ? -x : x;
}

void synth_floats(float *out, size_t n, const float *table, float mean, float std,
                  struct random_state *r) {
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits = i % 4 == 0 ? random_u64(r) : bits >> 16;
        out[i] = mean + std * pick(table, (uint16_t)bits);
    }
}

void synth_bf16(uint16_t *out, size_t n, const float *table, float mean, float std,
                struct random_state *r) {
    uint16_t values[2 * SYNTH_TABLE]; /* by all 13 bits */
    for (unsigned i = 0; i < 2 * SYNTH_TABLE; i++)
        values[i] = f32_to_bf16(mean + std * pick(table, (uint16_t)i));
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits = i % 4 == 0 ? random_u64(r) : bits >> 16;
        out[i] = values[bits & (2 * SYNTH_TABLE - 1)];
    }
}

struct random_state synth_stream(const struct synth *s, size_t tensor, size_t piece) {
    struct random_state r;
    uint64_t key = s->seed;
    key = random_splitmix(&key) ^ tensor;
    key = random_splitmix(&key) ^ piece;
    random_seed(&r, key);
    return r;
}

float synth_std(const char *name, uint32_t cols) {
    return strcmp(name, "tok_embeddings") == 0 ? 1.0f : 1.0f / sqrtf((float)cols);
}
