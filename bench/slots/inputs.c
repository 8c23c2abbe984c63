#include "bench/slots/inputs.h"

#include <float.h>
#include <math.h>

/* splitmix64 (Steele, Lea and Flood, 2014). */
uint64_t random_u64(struct inputs *in) {
    uint64_t z = in->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t random_size(struct inputs *in, size_t lo, size_t hi) {
    return lo + random_u64(in) % (hi - lo + 1);
}

float random_unit(struct inputs *in) {
    return (float)((int64_t)random_u64(in) >> 40) * 0x1p-23f;
}

static float one_float(struct inputs *in, enum floats kind) {
    const float u = random_unit(in), sign = u < 0.0f ? -1.0f : 1.0f;
    const uint64_t choice = random_u64(in);
    switch (kind) {
    case FLOATS_SPREAD:
        if (choice % 16 == 0)
            return 0.0f;
        return u * powf(10.0f, (float)(choice % 11) - 6.0f);
    case FLOATS_EQUAL:
        return sign;
    case FLOATS_TIES:
        return choice % 32 == 0 ? 127.0f : sign * ((float)(choice % 127) + 0.5f);
    case FLOATS_ZERO:
        return sign * 0.0f;
    case FLOATS_DENORMAL:
        return u * 0x1p-126f;
    case FLOATS_TINY:
        return u * 2e-30f;
    case FLOATS_HUGE:
        return choice % 8 == 0 ? sign * FLT_MAX : u * FLT_MAX;
    default:
        return u;
    }
}

void fill_floats(struct inputs *in, float *x, size_t n, enum floats kind) {
    for (size_t i = 0; i < n; i++)
        x[i] = one_float(in, kind);
}

void fill_codes(struct inputs *in, int8_t *q, size_t n, int limit, enum codes kind) {
    static const int8_t blocks[4] = {127, -127, -128, 127};
    for (size_t i = 0; i < n; i++) {
        const uint64_t u = random_u64(in);
        int code = 0;
        if (kind == CODES_BLOCKS)
            code = blocks[i / 16 % 4];
        else if (kind == CODES_RANDOM)
            code = (int)(u % (2u * (unsigned)limit + 1)) - limit;
        else if (kind == CODES_MAX || (kind == CODES_EXTREMES && u % 2 != 0))
            code = limit;
        else if (kind != CODES_ZERO)
            code = -limit;
        q[i] = (int8_t)code;
    }
}

float *make_floats(struct inputs *in, size_t n, enum floats kind) {
    float *const x = in->alloc(in, n * 4);
    fill_floats(in, x, n, kind);
    in->seal(in, x);
    return x;
}

float *make_magnitudes(struct inputs *in, size_t n, enum floats kind) {
    float *const x = in->alloc(in, n * 4);
    fill_floats(in, x, n, kind);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? -x[i] : x[i] + 0.0f; /* no -0 either */
    in->seal(in, x);
    return x;
}
