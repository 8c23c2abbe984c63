/*
 * Values of an int8 cache on x86, for every width of registers. Before including it, a folder
 * defines
 *
 *   LANES         dimensions whose sums are side by side in a vector: 4, 8 or 16
 *   VALUE_PARTS   1: a line of 4 positions is multiplied as it lies; 2: in words of 16 bits,
 *                 positions 0 and 2, then 1 and 3
 *   vint, vfloat  types of LANES integers and floats, and TILE_HELPER functions:
 *   vint load(const void *p), set_all(int32_t x)
 *   vint dot_values(vint acc, vint v, vint codes)   acc + products of a part in every lane
 *   void store(void *p, vint v), split_line(vint parts[2], vint line)        with 2 parts alone
 *   vfloat to_float(vint v), load_float(const float *p), all_floats(float x), mul(a, b), add(a, b)
 *   void store_float(float *p, vfloat v)
 *
 * Positions are taken in runs that stay in L1; within a run a register tile of queries x 2 LANES
 * dimensions goes through them in ascending order.
 */
#include "kernels/kernels.h"
#include "kernels/tile.h"

#define RUN     4 /* groups of positions */
#define QUERIES 4 /* in a register tile */
#define STRIP   2 /* vectors of dimensions in it */
#define QUADS   (ATTN_GROUP / 4)
#define AHEAD   4  /* runs that values are asked for ahead */
#define PASS    32 /* queries whose codes of a run are held as 16 bits at a time */

/* Codes: the four of a quad are a word (two words, of 16 bits each, for two parts). */
struct value_codes {
    const uint8_t *words; /* [n_q][ld][VALUE_PARTS][QUADS] words */
    size_t ld;
    const float *cd; /* [n_q][ldc] */
    size_t ldc;
};

/* Values of a strip: [n_groups][QUADS] rows, `row` bytes from one to the next. next: as many bytes
 * of a later run, asked for in the order of memory; NULL: none. */
struct value_strip {
    const int8_t *v, *next;
    size_t row, n_groups;
};

TILE_HELPER vint word_of(const uint8_t *words) {
    int32_t x;
    memcpy(&x, words, sizeof x);
    return set_all(x);
}

/* nq queries, STRIP vectors of dimensions of out, all positions of a strip. */
TILE_HELPER void values_tile(float *out, size_t ldo, const struct value_codes *c,
                             const struct value_strip *s, const bool fetch, const size_t nq) {
    const size_t width = STRIP * VALUE_PARTS * sizeof(vint), word = 4;
    vfloat acc[QUERIES * STRIP];
    UNROLL
    for (size_t i = 0; i < nq * STRIP; i++)
        acc[i] = load_float(out + i / STRIP * ldo + i % STRIP * LANES);
    for (size_t g = 0; g < s->n_groups; g++) {
        vint isum[QUERIES * STRIP];
        UNROLL
        for (size_t i = 0; i < nq * STRIP; i++)
            isum[i] = set_all(0);
        UNROLL
        for (size_t quad = 0; quad < QUADS; quad++) {
            const int8_t *const line = s->v + (g * QUADS + quad) * s->row;
            vint v[STRIP * VALUE_PARTS];
            UNROLL
            for (size_t j = 0; j < STRIP * VALUE_PARTS; j++)
                v[j] = load(line + j * sizeof(vint));
            UNROLL
            for (size_t at = 0; fetch && at < width; at += 64)
                prefetch_later(s->next + (g * QUADS + quad) * width + at);
            UNROLL
            for (size_t i = 0; i < nq * VALUE_PARTS; i++) {
                const size_t q = i / VALUE_PARTS, part = i % VALUE_PARTS;
                const vint codes = word_of(
                    c->words + (((q * c->ld + g) * VALUE_PARTS + part) * QUADS + quad) * word);
                UNROLL
                for (size_t j = 0; j < STRIP; j++)
                    isum[q * STRIP + j] =
                        dot_values(isum[q * STRIP + j], v[j * VALUE_PARTS + part], codes);
            }
        }
        UNROLL
        for (size_t i = 0; i < nq * STRIP; i++) {
            const vfloat scale = all_floats(c->cd[i / STRIP * c->ldc + g]);
            acc[i] = add(acc[i], mul(to_float(isum[i]), scale));
        }
    }
    UNROLL
    for (size_t i = 0; i < nq * STRIP; i++)
        store_float(out + i / STRIP * ldo + i % STRIP * LANES, acc[i]);
}

/* n_q queries and a strip. */
TILE_HELPER void values_strip(float *out, size_t ldo, struct value_codes c, size_t n_q,
                              const struct value_strip *s) {
    for (size_t i = 0, nq; i < n_q; i += nq) {
        nq = n_q - i < QUERIES ? n_q - i : QUERIES;
        if (i == 0 && s->next != NULL)
            WITH_CONSTANT(nq, QUERIES, values_tile(out, ldo, &c, s, true, N));
        else
            WITH_CONSTANT(nq, QUERIES, values_tile(out, ldo, &c, s, false, N));
        out += nq * ldo;
        c.words += nq * c.ld * VALUE_PARTS * ATTN_GROUP;
        c.cd += nq * c.ldc;
    }
}

#if VALUE_PARTS == 2

/* A run's codes as words of 16 bits: in each, those of positions 0 and 2 of a quad, or 1 and 3. */
static void split_codes(uint8_t *words, const uint8_t *c, size_t ldc, size_t n_q, size_t n_groups) {
    for (size_t i = 0; i < n_q; i++)
        for (size_t g = 0; g < n_groups; g++) {
            uint32_t quads[QUADS], split[2][QUADS];
            memcpy(quads, c + (i * ldc + g) * ATTN_GROUP, sizeof quads);
            for (size_t j = 0; j < QUADS; j++) {
                split[0][j] = quads[j] & 0x00ff00ff;
                split[1][j] = quads[j] >> 8 & 0x00ff00ff;
            }
            memcpy(words + (i * RUN + g) * sizeof split, split, sizeof split);
        }
}

/* A strip's values as words of 16 bits. */
TILE_HELPER struct value_strip split_values(vint *to, const struct value_strip *s) {
    const size_t rows = s->n_groups * QUADS, width = STRIP * sizeof(vint);
    for (size_t r = 0; r < rows; r++) {
        for (size_t at = 0; at < width && s->next != NULL; at += 64)
            prefetch_later(s->next + r * width + at);
        UNROLL
        for (size_t j = 0; j < STRIP; j++) {
            vint parts[2];
            split_line(parts, load(s->v + r * s->row + j * sizeof(vint)));
            store(to + (r * STRIP + j) * 2, parts[0]);
            store(to + (r * STRIP + j) * 2 + 1, parts[1]);
        }
    }
    return (struct value_strip){(const int8_t *)to, NULL, 2 * width, s->n_groups};
}

#endif

/* A run of at most RUN groups, at most PASS queries. */
TILE_HELPER void values_run(float *out, size_t ldo, const uint8_t *codes, const float *cd,
                            size_t ldc, size_t n_q, const int8_t *v, const int8_t *next, size_t hd,
                            size_t n_groups) {
    const size_t width = STRIP * sizeof(vint), rows = n_groups * QUADS;
    struct value_codes c = {codes, ldc, cd, ldc};
#if VALUE_PARTS == 2
    vint split[RUN * QUADS * STRIP * 2];
    uint8_t words[PASS * RUN * ATTN_GROUP * 2];
    split_codes(words, codes, ldc, n_q, n_groups);
    c.words = words;
    c.ld = RUN;
#endif
    for (size_t d = 0; d < hd; d += STRIP * LANES) {
        struct value_strip s = {v + 4 * d, NULL, 4 * hd, n_groups};
        if (next != NULL)
            s.next = next + d / (STRIP * LANES) * rows * width;
#if VALUE_PARTS == 2
        s = split_values(split, &s);
#endif
        values_strip(out + d, ldo, c, n_q, &s);
    }
}

/* What follows the values may be asked for: in a cache it is those of the next block. */
TILE_HELPER void values_i8(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                           size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    const size_t run_bytes = RUN * ATTN_GROUP * hd;
    for (size_t g = 0; g < n_groups; g += RUN, v += run_bytes) {
        const size_t n = n_groups - g < RUN ? n_groups - g : RUN;
        const int8_t *const next = (const int8_t *)((uintptr_t)v + AHEAD * run_bytes);
        for (size_t i = 0; i < n_q; i += PASS)
            values_run(out + i * ldo, ldo, c + (i * ldc + g) * ATTN_GROUP, cd + i * ldc + g, ldc,
                       n_q - i < PASS ? n_q - i : PASS, v, i == 0 ? next : NULL, hd, n);
    }
}
