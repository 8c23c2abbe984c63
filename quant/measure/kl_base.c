#include "quant/measure/kl_base.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/model/config.h"
#include "src/os/file.h"
#include "src/os/new_file.h"

#include <math.h>
#include <stdlib.h>

enum header_field {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_CRC = 12,        /* of the header and the ids, these four bytes taken as zero */
    AT_FILE_BYTES = 16, /* u64 */
    AT_N_WINDOWS = 24,  /* u64 */
    AT_VOCAB = 32,
    AT_WINDOW = 36,
    AT_RUN = 40,
    AT_FIRST = 44,
    AT_UNUSED = 48,
    AT_TEXT = 64, /* char [KL_BASE_TEXT], zero padded */
};
#define RECORD_HEAD 8     /* f32 top, f32 step; then a u16 for each id of the vocabulary */
#define MAX_CODE    65535 /* logit = top - step * code; code 0 is the likeliest alone */

struct kl_base {
    struct eval_shape shape;
    char model[KL_BASE_TEXT];
    int32_t *ids;    /* [n_windows][window]; of a reader */
    uint8_t *record; /* [record_bytes] */
    size_t record_bytes;
    uint64_t file_bytes, left; /* left: positions still to come */
    uint64_t at;               /* of the reader's next record */
    uint32_t in_window, crc;   /* records of this window so far, and their CRC */
    char *path;
    int fd;              /* of a reader; -1: none */
    struct new_file out; /* of a writer; fd -1: none */
};

/* Length of a file of this shape; 0 if it has none that fits into 63 bits. */
static uint64_t bytes_of(const struct eval_shape *s) {
    const uint64_t record = RECORD_HEAD + 2 * (uint64_t)s->vocab;
    const uint64_t window = (uint64_t)eval_predicted(s) * record + 4 + 4 * (uint64_t)s->window;
    if (s->n_windows > (INT64_MAX - KL_BASE_HEADER) / window)
        return 0;
    return KL_BASE_HEADER + s->n_windows * window;
}

static bool shape_is_sound(const struct eval_shape *s) {
    return s->n_windows > 0 && s->vocab > 0 && s->vocab <= MAX_VOCAB && s->window >= 2 &&
           s->window <= MAX_POSITIONS && s->first < s->window - 1 && s->run >= s->window - 1 &&
           s->run <= s->window && bytes_of(s) > 0;
}

static enum bise_status allocate(struct kl_base **out, const char *path, struct bise_error *err) {
    struct kl_base *b = calloc(1, sizeof *b);
    *out = b;
    if (b) {
        b->fd = b->out.fd = -1;
        b->path = strdup(path);
    }
    return b && b->path ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
}

/* The parts that depend on the shape. */
static enum bise_status begin_records(struct kl_base *b, struct bise_error *err) {
    b->record_bytes = RECORD_HEAD + 2 * (size_t)b->shape.vocab;
    b->left = b->shape.n_windows * eval_predicted(&b->shape);
    b->record = malloc(b->record_bytes);
    return b->record ? BISE_OK
                     : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a record of %zu bytes",
                                 b->path, b->record_bytes);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void clean_copy(char *out, const char *text) {
    size_t n = 0;
    for (; text[n] && n + 1 < KL_BASE_TEXT; n++)
        out[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7F ? '?' : text[n];
    memset(out + n, 0, KL_BASE_TEXT - n);
}

/* Header and ids, the CRC last. */
static enum bise_status write_head(struct kl_base *b, const int32_t *ids, struct bise_error *err) {
    const struct eval_shape *s = &b->shape;
    const size_t n_ids = (size_t)s->n_windows * s->window, len = KL_BASE_HEADER + 4 * n_ids;
    uint8_t *head = calloc(1, len);
    if (!head)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu ids", b->path, n_ids);
    memcpy(head + AT_MAGIC, KL_BASE_MAGIC, 8);
    put_u32(head + AT_VERSION, KL_BASE_VERSION);
    put_u64(head + AT_FILE_BYTES, b->file_bytes);
    put_u64(head + AT_N_WINDOWS, s->n_windows);
    put_u32(head + AT_VOCAB, s->vocab);
    put_u32(head + AT_WINDOW, s->window);
    put_u32(head + AT_RUN, s->run);
    put_u32(head + AT_FIRST, s->first);
    memcpy(head + AT_TEXT, b->model, KL_BASE_TEXT);
    for (size_t i = 0; i < n_ids; i++)
        put_u32(head + KL_BASE_HEADER + 4 * i, (uint32_t)ids[i]);
    put_u32(head + AT_CRC, crc32c(0, head, len));
    const enum bise_status status = new_file_write(&b->out, head, len, err);
    free(head);
    return status;
}

enum bise_status kl_base_create(struct kl_base **out, const char *path,
                                const struct eval_shape *shape, const int32_t *ids,
                                const char *model, struct bise_error *err) {
    struct kl_base *b;
    enum bise_status s = allocate(&b, path, err);
    if (s)
        goto done;
    b->shape = *shape;
    clean_copy(b->model, model);
    if (!shape_is_sound(shape)) {
        s = bise_fail(err, BISE_ERR_ARG, "%s: no baseline has %llu windows of %u ids", path,
                      (unsigned long long)shape->n_windows, shape->window);
        goto done;
    }
    b->file_bytes = bytes_of(shape);
    s = begin_records(b, err);
    if (!s)
        s = new_file_create(&b->out, path, NEW_FILE_SHARED, err);
    if (!s)
        s = write_head(b, ids, err);
done:
    if (s)
        kl_base_close(&b);
    *out = b;
    return s;
}

/* logits as codes. One below the largest never shares its code, so that the top token is known. */
static void encode(uint8_t *record, const float *logits, size_t vocab) {
    float top = logits[0], bottom = logits[0];
    for (size_t i = 1; i < vocab; i++) {
        top = logits[i] > top ? logits[i] : top;
        bottom = logits[i] < bottom ? logits[i] : bottom;
    }
    const float step = (float)(((double)top - (double)bottom) / MAX_CODE);
    put_f32(record, top);
    put_f32(record + 4, step);
    for (size_t i = 0; i < vocab; i++) {
        const double below = (double)top - (double)logits[i];
        unsigned code = step > 0 ? (unsigned)(below / (double)step + 0.5) : 0;
        code = code > MAX_CODE ? MAX_CODE : code;
        code = code == 0 && below > 0 ? 1 : code;
        record[RECORD_HEAD + 2 * i] = (uint8_t)code;
        record[RECORD_HEAD + 2 * i + 1] = (uint8_t)(code >> 8);
    }
}

enum bise_status kl_base_put(struct kl_base *b, const float *logits, struct bise_error *err) {
    uint8_t crc[4];
    if (b->left == 0)
        return bise_fail(err, BISE_ERR_ARG, "%s: more positions than it has", b->path);
    encode(b->record, logits, b->shape.vocab);
    b->crc = crc32c(b->crc, b->record, b->record_bytes);
    enum bise_status s = new_file_write(&b->out, b->record, b->record_bytes, err);
    b->left--;
    if (s || ++b->in_window < eval_predicted(&b->shape))
        return s;
    put_u32(crc, b->crc);
    b->in_window = b->crc = 0;
    return new_file_write(&b->out, crc, sizeof crc, err);
}

enum bise_status kl_base_finish(struct kl_base *b, struct bise_error *err) {
    if (b->left > 0)
        return bise_fail(err, BISE_ERR_ARG, "%s: %llu positions are missing", b->path,
                         (unsigned long long)b->left);
    return new_file_finish(&b->out, err);
}

/* ---- reading -------------------------------------------------------------------------------- */

static enum bise_status read_header(struct kl_base *b, const uint8_t *head,
                                    struct bise_error *err) {
    struct eval_shape *s = &b->shape;
    if (memcmp(head + AT_MAGIC, KL_BASE_MAGIC, 8) != 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: not a baseline made by --kl-base", b->path);
    if (get_u32(head + AT_VERSION) != KL_BASE_VERSION)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: expected version %u, found %u", b->path,
                         KL_BASE_VERSION, get_u32(head + AT_VERSION));
    *s = (struct eval_shape){get_u64(head + AT_N_WINDOWS), get_u32(head + AT_VOCAB),
                             get_u32(head + AT_WINDOW), get_u32(head + AT_RUN),
                             get_u32(head + AT_FIRST)};
    if (!shape_is_sound(s))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: a vocabulary of %u, windows of %u ids, %u of them run, predictions "
                         "from %u on",
                         b->path, s->vocab, s->window, s->run, s->first);
    if (b->file_bytes != bytes_of(s) || b->file_bytes != get_u64(head + AT_FILE_BYTES))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected %llu bytes, found %llu: was it copied whole?", b->path,
                         (unsigned long long)get_u64(head + AT_FILE_BYTES),
                         (unsigned long long)b->file_bytes);
    if (!all_zero(head + AT_UNUSED, AT_TEXT - AT_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: unused bytes of the header are not zero",
                         b->path);
    memcpy(b->model, head + AT_TEXT, KL_BASE_TEXT);
    b->model[KL_BASE_TEXT - 1] = 0;
    for (char *p = b->model; *p; p++)
        *p = (char)((unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p);
    return BISE_OK;
}

/* The ids behind the header, whose CRC covers both. The file has been found long enough. */
static enum bise_status read_ids(struct kl_base *b, uint8_t *head, struct bise_error *err) {
    const size_t n = (size_t)b->shape.n_windows * b->shape.window;
    const uint32_t expected = get_u32(head + AT_CRC);
    b->ids = malloc(n * sizeof *b->ids);
    if (!b->ids)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu ids", b->path, n);
    const enum bise_status s =
        file_read_at(b->fd, b->path, KL_BASE_HEADER, b->ids, n * sizeof *b->ids, err);
    if (s)
        return s;
    put_u32(head + AT_CRC, 0);
    if (crc32c(crc32c(0, head, KL_BASE_HEADER), b->ids, n * sizeof *b->ids) != expected)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: the header's checksum does not match", b->path);
    for (size_t i = 0; i < n; i++) {
        b->ids[i] = (int32_t)get_u32((const uint8_t *)&b->ids[i]);
        if (b->ids[i] < 0 || (uint32_t)b->ids[i] >= b->shape.vocab)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: expected ids below %u, found %d", b->path,
                             b->shape.vocab, b->ids[i]);
    }
    b->at = KL_BASE_HEADER + 4 * (uint64_t)n;
    return BISE_OK;
}

enum bise_status kl_base_open(struct kl_base **out, const char *path, struct bise_error *err) {
    uint8_t head[KL_BASE_HEADER];
    struct kl_base *b;
    enum bise_status s = allocate(&b, path, err);
    if (!s)
        s = file_open(path, &b->fd, &b->file_bytes, err);
    if (!s && b->file_bytes < KL_BASE_HEADER)
        s = bise_fail(err, BISE_ERR_FORMAT, "%s: not a baseline made by --kl-base", path);
    if (!s)
        s = file_read_at(b->fd, path, 0, head, sizeof head, err);
    if (!s)
        s = read_header(b, head, err);
    if (!s)
        s = read_ids(b, head, err);
    if (!s)
        s = begin_records(b, err);
    if (s)
        kl_base_close(&b);
    *out = b;
    return s;
}

const struct eval_shape *kl_base_shape(const struct kl_base *b) {
    return &b->shape;
}

const int32_t *kl_base_ids(const struct kl_base *b) {
    return b->ids;
}

const char *kl_base_model(const struct kl_base *b) {
    return b->model;
}

static enum bise_status damaged(const struct kl_base *b, struct bise_error *err) {
    const uint64_t window = b->shape.n_windows - 1 - b->left / eval_predicted(&b->shape);
    return bise_fail(err, BISE_ERR_FORMAT, "%s: window %llu is damaged", b->path,
                     (unsigned long long)window);
}

enum bise_status kl_base_next(struct kl_base *b, float *logits, struct bise_error *err) {
    uint8_t crc[4];
    if (b->left == 0)
        return bise_fail(err, BISE_ERR_ARG, "%s: no more positions", b->path);
    enum bise_status s = file_read_at(b->fd, b->path, b->at, b->record, b->record_bytes, err);
    if (s)
        return s;
    b->at += b->record_bytes;
    b->left--;
    b->crc = crc32c(b->crc, b->record, b->record_bytes);
    const float top = get_f32(b->record), step = get_f32(b->record + 4);
    const float bottom = top - step * MAX_CODE;
    if (!(step >= 0) || !isfinite(top) || !isfinite(bottom))
        return damaged(b, err);
    for (size_t i = 0; i < b->shape.vocab; i++)
        logits[i] = top - step * (float)get_u16(b->record + RECORD_HEAD + 2 * i);
    if (++b->in_window < eval_predicted(&b->shape))
        return BISE_OK;
    s = file_read_at(b->fd, b->path, b->at, crc, sizeof crc, err);
    if (!s && get_u32(crc) != b->crc)
        s = damaged(b, err);
    b->at += sizeof crc;
    b->in_window = b->crc = 0;
    return s;
}

void kl_base_close(struct kl_base **bp) {
    struct kl_base *b = bp ? *bp : NULL;
    if (!b)
        return;
    file_close(&b->fd);
    new_file_abort(&b->out);
    free(b->ids);
    free(b->record);
    free(b->path);
    free(b);
    *bp = NULL;
}
