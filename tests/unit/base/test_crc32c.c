/* CRC32C against published values and the bit-by-bit definition. */
#include "src/base/crc32c.h"

#include <criterion/criterion.h>
#include <string.h>

static uint32_t crc_by_bits(const uint8_t *p, size_t len) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

static void fill(uint8_t *p, size_t len) {
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (uint8_t)(x >> 24);
    }
}

Test(crc32c, published_values) { /* RFC 3720, appendix B.4 */
    uint8_t buf[32];
    cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
    memset(buf, 0, sizeof buf);
    cr_assert_eq(crc32c(0, buf, sizeof buf), 0x8a9136aau);
    memset(buf, 0xff, sizeof buf);
    cr_assert_eq(crc32c(0, buf, sizeof buf), 0x62a8ab43u);
    cr_assert_eq(crc32c(0, buf, 0), 0u);
}

Test(crc32c, equals_definition_at_every_length_and_alignment) {
    uint8_t buf[300];
    fill(buf, sizeof buf);
    for (size_t at = 0; at < 16; at++)
        for (size_t len = 0; len <= 130; len++)
            cr_assert_eq(crc32c(0, buf + at, len), crc_by_bits(buf + at, len));
}

Test(crc32c, continues_where_it_stopped) {
    uint8_t buf[300];
    fill(buf, sizeof buf);
    const uint32_t whole = crc32c(0, buf, sizeof buf);
    for (size_t cut = 0; cut <= sizeof buf; cut++) {
        const uint32_t a = crc32c(0, buf, cut);
        const uint32_t b = crc32c(0, buf + cut, sizeof buf - cut);
        cr_assert_eq(crc32c(a, buf + cut, sizeof buf - cut), whole);
        cr_assert_eq(crc32c_combine(a, b, sizeof buf - cut), whole);
    }
}

Test(crc32c, combines_lengths_beyond_32_bits) {
    /* Zeros doubled: the CRC of 2^n zero bytes from two halves, against appending them in steps of
     * another size. */
    static const uint8_t zeros[3 * 4096];
    uint32_t by_two = crc32c(0, zeros, 4096);
    uint64_t len = 4096;
    for (; len < (uint64_t)1 << 42; len *= 2)
        by_two = crc32c_combine(by_two, by_two, len);
    uint32_t by_three = crc32c(0, zeros, 4096);
    uint64_t done = 4096;
    uint32_t step_crc = crc32c(0, zeros, sizeof zeros);
    uint64_t step = sizeof zeros;
    while (done < len) { /* 2^42 - 4096 written in powers of four times 3 * 4096 */
        by_three = crc32c_combine(by_three, step_crc, step);
        done += step;
        const uint32_t twice = crc32c_combine(step_crc, step_crc, step);
        step_crc = crc32c_combine(twice, twice, 2 * step);
        step *= 4;
    }
    cr_assert_eq(done, len);
    cr_assert_eq(by_two, by_three);
}
