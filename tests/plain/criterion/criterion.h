/* A stand-in for what the unit tests use of Criterion, which cannot run under an emulator. */
#ifndef BISE_TESTS_PLAIN_CRITERION_CRITERION_H
#define BISE_TESTS_PLAIN_CRITERION_CRITERION_H

#pragma GCC system_header /* macros may leave out their messages */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_options {
    void (*init)(void), (*fini)(void);
    double timeout;
};

struct plain_test {
    const char *suite, *name;
    void (*run)(void);
    struct plain_options options;
    struct plain_test *next;
};

struct plain_suite {
    const char *name;
    struct plain_options options;
    struct plain_suite *next;
};

void plain_add(struct plain_test *test);
void plain_add_suite(struct plain_suite *suite);
/* Print what was found wrong; plain_fail ends the test. */
_Noreturn void plain_fail(const char *what, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void plain_note(const char *what, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn void plain_skip(void);

#define Test(suite_, name_, ...)                                                                   \
    static void plain_##suite_##_##name_(void);                                                    \
    __attribute__((constructor)) static void plain_add_##suite_##_##name_(void) {                  \
        static struct plain_test test = {.suite = #suite_,                                         \
                                         .name = #name_,                                           \
                                         .run = plain_##suite_##_##name_,                          \
                                         .options = {__VA_ARGS__}};                                \
        plain_add(&test);                                                                          \
    }                                                                                              \
    static void plain_##suite_##_##name_(void)

#define TestSuite(suite_, ...)                                                                     \
    __attribute__((constructor)) static void plain_suite_##suite_(void) {                          \
        static struct plain_suite suite = {.name = #suite_, .options = {__VA_ARGS__}};             \
        plain_add_suite(&suite);                                                                   \
    }                                                                                              \
    struct plain_suite

#define PLAIN_ASSERT(good, what, ...)                                                              \
    ((good) ? (void)0 : plain_fail(what, __FILE__, __LINE__, "" __VA_ARGS__))
#define PLAIN_EXPECT(good, what, ...)                                                              \
    ((good) ? (void)0 : plain_note(what, __FILE__, __LINE__, "" __VA_ARGS__))
#define cr_assert(x, ...)          PLAIN_ASSERT(x, #x, __VA_ARGS__)
#define cr_assert_not(x, ...)      PLAIN_ASSERT(!(x), "not " #x, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)    PLAIN_ASSERT((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)   PLAIN_ASSERT((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)    PLAIN_ASSERT((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)   PLAIN_ASSERT((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)    PLAIN_ASSERT((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)   PLAIN_ASSERT((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...)     PLAIN_ASSERT((a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_ASSERT((a) != NULL, #a " != NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                                                \
    PLAIN_ASSERT(strcmp((a), (b)) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                                               \
    PLAIN_ASSERT(strcmp((a), (b)) != 0, #a " differs: " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)                                                             \
    PLAIN_ASSERT(memcmp((a), (b), (n)) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                                           \
    PLAIN_ASSERT(fabs((double)(a) - (double)(b)) <= (double)(e), #a " near " #b, __VA_ARGS__)
#define cr_assert_fail(...)        PLAIN_ASSERT(false, "failed", __VA_ARGS__)
#define cr_expect(x, ...)          PLAIN_EXPECT(x, #x, __VA_ARGS__)
#define cr_expect_not(x, ...)      PLAIN_EXPECT(!(x), "not " #x, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)    PLAIN_EXPECT((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)   PLAIN_EXPECT((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)    PLAIN_EXPECT((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)   PLAIN_EXPECT((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)    PLAIN_EXPECT((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)   PLAIN_EXPECT((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(a, ...)     PLAIN_EXPECT((a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) PLAIN_EXPECT((a) != NULL, #a " != NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                                                \
    PLAIN_EXPECT(strcmp((a), (b)) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_skip_test(...) plain_skip()

#endif
