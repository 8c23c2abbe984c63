/* SHA-256: the examples of FIPS 180-4, in pieces of every length. */
#include "src/base/sha256.h"

#include <criterion/criterion.h>
#include <string.h>

static void check(const char *text, size_t n_times, const char *expected) {
    const size_t len = strlen(text);
    for (size_t piece = 1; piece <= 130; piece += 43) {
        struct sha256 s;
        char hex[65];
        sha256_begin(&s);
        for (size_t i = 0; i < n_times; i++)
            for (size_t at = 0; at < len; at += piece)
                sha256_put(&s, text + at, len - at < piece ? len - at : piece);
        sha256_end(&s, hex);
        cr_expect_str_eq(hex, expected, "\"%.20s\" in pieces of %zu: %s", text, piece, hex);
    }
}

Test(sha256, examples) {
    check("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaa",
          10000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
