/* Statistics as files: preamble, table, moments; one CRC over all (docs/format.md). */
#include "quant/gptq/stats.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/os/file.h"
#include "src/os/new_file.h"

#include <stdlib.h>
#include <string.h>

/* Offsets; u32 where no type is given. */
enum { AT_VERSION = 8, AT_CRC = 12, AT_FILE_BYTES = 16 /* u64 */, AT_N = 24, AT_UNUSED = 28 };
enum { ENTRY_COLS = 64, ENTRY_UNUSED = 68, ENTRY_COUNT = 72 /* u64 */ };

#define STATS_MAX_BYTES ((size_t)1 << 30)

/* ---- reading -------------------------------------------------------------------------------- */

/* What the first bytes must say before anything behind them is looked at. */
static enum bise_status check_header(const uint8_t *data, size_t len, const char *path,
                                     struct bise_error *err) {
    if (len < STATS_HEADER || memcmp(data, STATS_MAGIC, 8) != 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: not a file of statistics (bise calibrate)",
                         path);
    const uint32_t version = get_u32(data + AT_VERSION), n = get_u32(data + AT_N);
    if (version != STATS_VERSION)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: statistics of version %u, known is %u",
                         path, version, STATS_VERSION);
    if (get_u64(data + AT_FILE_BYTES) != len)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected %llu bytes, found %zu", path,
                         (unsigned long long)get_u64(data + AT_FILE_BYTES), len);
    static const uint8_t zeros[4];
    const uint32_t crc = crc32c(crc32c(crc32c(0, data, AT_CRC), zeros, sizeof zeros),
                                data + AT_FILE_BYTES, len - AT_FILE_BYTES);
    if (crc != get_u32(data + AT_CRC))
        return bise_fail(err, BISE_ERR_FORMAT, "%s is damaged: its checksum does not match", path);
    if (!all_zero(data + AT_UNUSED, STATS_HEADER - AT_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: bytes that should be zero are not", path);
    if (n == 0 || n > (len - STATS_HEADER) / STATS_ENTRY)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a table of %u inputs in %zu bytes", path, n,
                         len);
    return BISE_OK;
}

static bool name_is_good(const uint8_t *name) {
    size_t len = 0;
    while (len < 64 && name[len])
        len++;
    for (size_t i = 0; i < 64; i++) {
        const uint8_t c = name[i];
        const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
        if (i < len ? !good : c != 0)
            return false;
    }
    return len > 0 && len < 64;
}

/* Entry i, whose moments are the next in [*at, end); moves *at on. */
static enum bise_status read_entry(struct stats_entry *to, const uint8_t *data, size_t i,
                                   size_t *at, size_t end, const char *path,
                                   struct bise_error *err) {
    const uint8_t *const entry = data + STATS_HEADER + i * STATS_ENTRY;
    const uint32_t cols = get_u32(entry + ENTRY_COLS);
    if (!name_is_good(entry))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: the name of input %zu", path, i);
    memcpy(to->name, entry, 64);
    if (cols == 0 || cols > MAX_DIM || cols > (end - *at) / 4 || get_u32(entry + ENTRY_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: %s: %u columns in %zu bytes", path, to->name,
                         cols, end - *at);
    to->cols = cols;
    to->count = get_u64(entry + ENTRY_COUNT);
    to->moments = malloc(cols * sizeof *to->moments);
    if (!to->moments)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %u columns", path, cols);
    for (uint32_t c = 0; c < cols; c++) {
        to->moments[c] = get_f32(data + *at + 4 * (size_t)c);
        if (!all_finite(&to->moments[c], 1) || to->moments[c] < 0)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: %s, column %u: expected a mean of squares, found %g", path,
                             to->name, c, (double)to->moments[c]);
    }
    *at += 4 * (size_t)cols;
    return BISE_OK;
}

enum bise_status stats_decode(struct stats *s, const uint8_t *data, size_t len, const char *path,
                              struct bise_error *err) {
    *s = (struct stats){0};
    enum bise_status status = check_header(data, len, path, err);
    if (status != BISE_OK)
        return status;
    const size_t n = get_u32(data + AT_N);
    size_t at = STATS_HEADER + n * STATS_ENTRY;
    s->entries = calloc(n, sizeof *s->entries);
    if (!s->entries)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu inputs", path, n);
    s->n = n;
    for (size_t i = 0; i < n && status == BISE_OK; i++)
        status = read_entry(&s->entries[i], data, i, &at, len, path, err);
    if (status == BISE_OK && at != len)
        status =
            bise_fail(err, BISE_ERR_FORMAT, "%s: %zu bytes behind the last input", path, len - at);
    if (status != BISE_OK)
        stats_close(s);
    return status;
}

enum bise_status stats_read(struct stats *s, const char *path, struct bise_error *err) {
    uint8_t *data = NULL;
    size_t len = 0;
    *s = (struct stats){0};
    enum bise_status status = file_read_whole(path, STATS_MAX_BYTES, &data, &len, err);
    if (status == BISE_OK)
        status = stats_decode(s, data, len, path, err);
    free(data);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

static uint8_t *encode(const struct stats *s, size_t *len) {
    size_t bytes = STATS_HEADER + s->n * STATS_ENTRY;
    size_t at = bytes;
    for (size_t i = 0; i < s->n; i++)
        bytes += 4 * (size_t)s->entries[i].cols;
    uint8_t *const data = calloc(1, bytes);
    *len = bytes;
    if (!data)
        return NULL;
    memcpy(data, STATS_MAGIC, 8);
    put_u32(data + AT_VERSION, STATS_VERSION);
    put_u64(data + AT_FILE_BYTES, bytes);
    put_u32(data + AT_N, (uint32_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct stats_entry *const from = &s->entries[i];
        uint8_t *const entry = data + STATS_HEADER + i * STATS_ENTRY;
        memcpy(entry, from->name, strlen(from->name));
        put_u32(entry + ENTRY_COLS, from->cols);
        put_u64(entry + ENTRY_COUNT, from->count);
        for (uint32_t c = 0; c < from->cols; c++, at += 4)
            put_f32(data + at, from->moments[c]);
    }
    put_u32(data + AT_CRC, crc32c(0, data, bytes));
    return data;
}

enum bise_status stats_write(const struct stats *s, const char *path, struct bise_error *err) {
    size_t len;
    uint8_t *const data = encode(s, &len);
    if (!data)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", path, len);
    struct new_file file;
    enum bise_status status = new_file_create(&file, path, NEW_FILE_SHARED, err);
    if (status == BISE_OK)
        status = new_file_write(&file, data, len, err);
    if (status == BISE_OK)
        status = new_file_finish(&file, err);
    new_file_abort(&file);
    free(data);
    return status;
}
