/*
 * Records, back to back: what a session's note and its journal consist of. A record is
 *
 *   u32 kind, u32 length, the bytes, u32 CRC32C of all that        little-endian
 *
 * so that a file that only grows can be read up to where a crash has torn it.
 */
#ifndef BISE_SRC_BASE_RECORDS_H
#define BISE_SRC_BASE_RECORDS_H

#include "src/base/error.h"

#define RECORD_OVERHEAD 12u
#define RECORD_MAX      ((size_t)1 << 31) /* bytes of one */

/* Records being put together. failed: there was no memory, and something is missing. */
struct records {
    uint8_t *data; /* [n] */
    size_t n, cap;
    bool failed;
};

/* Appends; data may be NULL where len is 0. After a failure nothing more is appended. */
void records_put(struct records *r, uint32_t kind, const void *data, size_t len);
void records_free(struct records *r);

struct record {
    uint32_t kind;
    const uint8_t *data; /* [len], within what was read */
    size_t len;
};

/* The record at *at of data [n], and *at moves behind it. False at the end, and where what is there
 * is not whole or not sound; *at then stays. */
bool records_next(struct record *r, const uint8_t *data, size_t n, size_t *at);

#endif
