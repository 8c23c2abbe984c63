/* SHA-256 (FIPS 180-4), for files that come from elsewhere. */
#ifndef BISE_SRC_BASE_SHA256_H
#define BISE_SRC_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t n; /* bytes so far */
    uint8_t block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_put(struct sha256 *s, const void *data, size_t len);
/* In hexadecimal, NUL-terminated; s is to be begun anew. */
void sha256_end(struct sha256 *s, char hex[65]);

#endif
