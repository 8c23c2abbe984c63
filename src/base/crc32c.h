/* CRC32C (Castagnoli; RFC 3720, appendix B.4): reflected polynomial 0x82f63b78, initial value and
 * final xor 0xffffffff. "123456789" gives 0xe3069283. */
#ifndef BISE_SRC_BASE_CRC32C_H
#define BISE_SRC_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC of bytes whose earlier part has the value crc (0 at the beginning) followed by data. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* CRC of a followed by b, from the CRC of each and the length of b. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

#endif
