/* The file of a baseline: what is written comes back, what is damaged is refused. */
#include "quant/measure/kl_base.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/os/file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VOCAB     50
#define WINDOW    5
#define N_WINDOWS 3

static struct bise_error err;
static char folder[] = "/tmp/bise-test-kl-XXXXXX";
static char path[64];
static const struct eval_shape shape = {N_WINDOWS, VOCAB, WINDOW, WINDOW - 1, 1};
static int32_t ids[N_WINDOWS * WINDOW];

static float logit(size_t position, size_t i) {
    return (float)((double)((position * 31 + i * 17) % 97) / 3 - 20);
}

static void setup(void) {
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/base", folder);
    for (int i = 0; i < N_WINDOWS * WINDOW; i++)
        ids[i] = i * 3 % VOCAB;
}

static void teardown(void) {
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something was left in %s", folder);
}

TestSuite(kl_base, .init = setup, .fini = teardown);

static size_t predicted(void) {
    return N_WINDOWS * eval_predicted(&shape);
}

static void write_base(void) {
    struct kl_base *b;
    float row[VOCAB];
    unlink(path);
    cr_assert_eq(kl_base_create(&b, path, &shape, ids, "a model\n\x01, i4", &err), BISE_OK, "%s",
                 err.detail);
    for (size_t at = 0; at < predicted(); at++) {
        cr_assert_eq(kl_base_finish(b, &err), BISE_ERR_ARG); /* not before the last */
        for (size_t i = 0; i < VOCAB; i++)
            row[i] = logit(at, i);
        cr_assert_eq(kl_base_put(b, row, &err), BISE_OK);
    }
    cr_assert_eq(kl_base_put(b, row, &err), BISE_ERR_ARG);
    cr_assert(!file_exists(path)); /* no name before it is whole */
    cr_assert_eq(kl_base_finish(b, &err), BISE_OK, "%s", err.detail);
    kl_base_close(&b);
    cr_assert_null(b);
}

Test(kl_base, round_trip) {
    struct kl_base *b;
    float row[VOCAB];
    write_base();
    cr_assert_eq(kl_base_open(&b, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_arr_eq(kl_base_shape(b), &shape, sizeof shape);
    cr_assert_arr_eq(kl_base_ids(b), ids, sizeof ids);
    cr_assert_str_eq(kl_base_model(b), "a model??, i4");
    for (size_t at = 0; at < predicted(); at++) {
        cr_assert_eq(kl_base_next(b, row, &err), BISE_OK, "%s", err.detail);
        size_t top = 0, top_expected = 0;
        for (size_t i = 0; i < VOCAB; i++) {
            cr_assert_float_eq(row[i], logit(at, i), 33.0 / 65535);
            top = row[i] > row[top] ? i : top;
            top_expected = logit(at, i) > logit(at, top_expected) ? i : top_expected;
        }
        cr_assert_eq(top, top_expected);
    }
    cr_assert_eq(kl_base_next(b, row, &err), BISE_ERR_ARG);
    kl_base_close(&b);
    kl_base_close(&b);
    kl_base_close(NULL);
}

Test(kl_base, only_the_likeliest_is_on_top) {
    const struct eval_shape small = {1, 3, 2, 1, 0};
    const int32_t two[2] = {0, 1};
    const float row[3] = {-20, 5, nextafterf(5, 6)}, flat[3] = {4, 4, 4};
    float out[3];
    struct kl_base *b;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kl_base_create(&b, path, &small, two, "", &err), BISE_OK);
        cr_assert_eq(kl_base_put(b, i ? flat : row, &err), BISE_OK);
        cr_assert_eq(kl_base_finish(b, &err), BISE_OK);
        kl_base_close(&b);
        cr_assert_eq(kl_base_open(&b, path, &err), BISE_OK);
        cr_assert_eq(kl_base_next(b, out, &err), BISE_OK);
        cr_assert_eq(out[1] < out[2], i == 0);
        kl_base_close(&b);
    }
}

Test(kl_base, unfinished_is_removed) {
    struct kl_base *b;
    cr_assert_eq(kl_base_create(&b, path, &shape, ids, "m", &err), BISE_OK);
    kl_base_close(&b); /* teardown finds the folder empty */
}

Test(kl_base, shapes_without_sense) {
    static const struct eval_shape bad[] = {
        {0, 5, 5, 5, 0}, {1, 0, 5, 5, 0}, {1, 5, 1, 1, 0},         {1, 5, 5, 3, 0},
        {1, 5, 5, 6, 0}, {1, 5, 5, 5, 4}, {UINT64_MAX, 5, 5, 5, 0}};
    struct kl_base *b;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(kl_base_create(&b, path, &bad[i], ids, "m", &err), BISE_ERR_ARG, "%zu", i);
        cr_assert_null(b);
    }
}

/* Opens and reads all; the first fault. */
static enum bise_status read_all(void) {
    float row[VOCAB];
    struct kl_base *b;
    enum bise_status s = kl_base_open(&b, path, &err);
    for (size_t at = 0; at < predicted() && !s; at++)
        s = kl_base_next(b, row, &err);
    kl_base_close(&b);
    return s;
}

static void put_file(const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

Test(kl_base, every_damaged_byte_is_noticed) {
    uint8_t *bytes;
    size_t n;
    write_base();
    cr_assert_eq(file_read_whole(path, 1 << 20, &bytes, &n, &err), BISE_OK);
    for (size_t at = 0; at < n; at++) {
        bytes[at] ^= 0x10;
        put_file(bytes, n);
        const enum bise_status s = read_all();
        cr_assert(s == BISE_ERR_FORMAT || s == BISE_ERR_UNSUPPORTED, "byte %zu: %d", at, (int)s);
        bytes[at] ^= 0x10;
    }
    for (size_t len = 0; len < n; len += 37) {
        put_file(bytes, len);
        cr_assert_eq(read_all(), BISE_ERR_FORMAT, "%zu bytes", len);
    }
    put_file(bytes, n);
    cr_assert_eq(read_all(), BISE_OK, "%s", err.detail);
    free(bytes);
}

/* The header changed as somebody would who mends the checksum. */
static void check_header(size_t at, uint32_t value, enum bise_status expected, const char *text) {
    uint8_t *bytes;
    size_t n;
    write_base();
    cr_assert_eq(file_read_whole(path, 1 << 20, &bytes, &n, &err), BISE_OK);
    put_u32(bytes + at, value);
    put_u32(bytes + 12, 0);
    put_u32(bytes + 12, crc32c(0, bytes, KL_BASE_HEADER + sizeof ids));
    put_file(bytes, n);
    free(bytes);
    cr_assert_eq(read_all(), expected);
    cr_assert(strstr(err.detail, text), "%s", err.detail);
}

Test(kl_base, hostile_headers) {
    check_header(0, 7, BISE_ERR_FORMAT, "not a baseline");
    check_header(8, 2, BISE_ERR_UNSUPPORTED, "expected version 1, found 2");
    check_header(16, 17, BISE_ERR_FORMAT, "copied whole");
    check_header(24, 0, BISE_ERR_FORMAT, "a vocabulary of 50");
    check_header(28, UINT32_MAX, BISE_ERR_FORMAT, "a vocabulary of 50");
    check_header(32, UINT32_MAX, BISE_ERR_FORMAT, "a vocabulary of 4294967295");
    check_header(36, UINT32_MAX, BISE_ERR_FORMAT, "windows of 4294967295 ids");
    check_header(36, 4, BISE_ERR_FORMAT, "copied whole");
    check_header(44, WINDOW, BISE_ERR_FORMAT, "predictions from 5 on");
    check_header(KL_BASE_HEADER + 4, VOCAB, BISE_ERR_FORMAT, "ids below 50, found 50");
}

/* A window's checksum may be right and its numbers none all the same. */
Test(kl_base, records_that_are_no_logits) {
    static const float bad[][2] = {{1, NAN},      {1, -1},  {1, 1e38f},
                                   {INFINITY, 1}, {NAN, 1}, {-3e38f, 1e34f}};
    const size_t at = KL_BASE_HEADER + 4 * shape.n_windows * shape.window;
    const size_t len = eval_predicted(&shape) * (8 + 2 * (size_t)VOCAB);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t *bytes;
        size_t n;
        write_base();
        cr_assert_eq(file_read_whole(path, 1 << 20, &bytes, &n, &err), BISE_OK);
        put_f32(bytes + at, bad[i][0]);
        put_f32(bytes + at + 4, bad[i][1]);
        put_u32(bytes + at + len, crc32c(0, bytes + at, len));
        put_file(bytes, n);
        cr_assert_eq(read_all(), BISE_ERR_FORMAT, "%zu", i);
        cr_assert_not_null(strstr(err.detail, "window 0 is damaged"), "%s", err.detail);
        free(bytes);
    }
}
