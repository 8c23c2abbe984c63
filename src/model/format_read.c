/* Reader of untrusted headers; tests/fuzz/fuzz_model.c feeds it. */
#include "src/model/format.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/model/shape.h"

#include <math.h>
#include <stdlib.h>

typedef unsigned long long ull; /* for %llu */

enum bise_status format_read_preamble(const uint8_t *data, size_t n, uint64_t file_bytes,
                                      const char *name, uint64_t *header_bytes,
                                      struct bise_error *err) {
    if (file_bytes == 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is empty", name);
    if (n >= 8 && all_zero(data, 8))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s begins with zeros: it was never finished by the program that wrote it",
                         name);
    if (memcmp(data, FORMAT_MAGIC, n < 8 ? n : 8) != 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is not a .bise file: it does not begin with "
                         "\"BISE\"",
                         name);
    if (n < FORMAT_PREAMBLE)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is truncated: %llu bytes, less than the %u a .bise file begins with",
                         name, (ull)file_bytes, FORMAT_PREAMBLE);
    const uint32_t version = get_u32(data + AT_VERSION);
    if (version > FORMAT_VERSION)
        return bise_fail(
            err, BISE_ERR_UNSUPPORTED,
            "%s has format version %u; this program reads versions 1 to %u: it needs a later "
            "bise",
            name, version, FORMAT_VERSION);
    if (version == 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: format version: expected 1 to %u, found 0",
                         name, FORMAT_VERSION);
    const uint64_t expected = get_u64(data + AT_FILE_BYTES);
    if (file_bytes < expected)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is truncated: expected %llu bytes, found %llu, %llu are missing (an "
                         "unfinished download or copy?)",
                         name, (ull)expected, (ull)file_bytes, (ull)(expected - file_bytes));
    if (file_bytes > expected)
        return bise_fail(err, BISE_ERR_FORMAT, "%s is too long: expected %llu bytes, found %llu",
                         name, (ull)expected, (ull)file_bytes);
    *header_bytes = get_u64(data + AT_HEADER_BYTES);
    if (*header_bytes < FORMAT_PREAMBLE || *header_bytes > file_bytes ||
        *header_bytes % FORMAT_ALIGN != 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: header length: expected a multiple of %u, %u to the file's %llu "
                         "bytes, found %llu",
                         name, FORMAT_ALIGN, FORMAT_PREAMBLE, (ull)file_bytes, (ull)*header_bytes);
    return BISE_OK;
}

static enum bise_status check_crc(const uint8_t *data, uint64_t header_bytes, const char *name,
                                  struct bise_error *err) {
    static const uint8_t zeros[4];
    const size_t after = AT_HEADER_CRC + 4;
    uint32_t crc = crc32c(0, data, AT_HEADER_CRC);
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = crc32c(crc, data + after, header_bytes - after);
    const uint32_t expected = get_u32(data + AT_HEADER_CRC);
    if (crc != expected)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the header is damaged: expected CRC %08x, found %08x", name, expected,
                         crc);
    return BISE_OK;
}

static enum bise_status read_config(struct model_config *c, const uint8_t *data, const char *name,
                                    struct bise_error *err) {
    const uint32_t flags = get_u32(data + AT_FLAGS), version = get_u32(data + AT_VERSION);
    if (flags & ~(FLAG_TIED_HEAD | (version > 1 ? FLAGS_OF_V2 : 0)))
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: unknown flags %#x", name, flags);
    if (version > 1 && !(flags & FLAGS_OF_V2))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a file of version 2 with nothing that needs it",
                         name);
    c->tied_head = flags & FLAG_TIED_HEAD;
    c->no_bos = flags & FLAG_NO_BOS;
    c->add_eos = flags & FLAG_ADD_EOS;
    c->own_rules = flags & FLAG_OWN_RULES;
    c->dim = get_u32(data + AT_DIM);
    c->n_layers = get_u32(data + AT_N_LAYERS);
    c->n_heads = get_u32(data + AT_N_HEADS);
    c->n_kv_heads = get_u32(data + AT_N_KV_HEADS);
    c->head_dim = get_u32(data + AT_HEAD_DIM);
    c->ffn_dim = get_u32(data + AT_FFN_DIM);
    c->vocab_size = get_u32(data + AT_VOCAB_SIZE);
    c->n_experts = get_u32(data + AT_N_EXPERTS);
    c->n_experts_used = get_u32(data + AT_N_EXPERTS_USED);
    c->window = get_u32(data + AT_WINDOW);
    c->max_context = get_u32(data + AT_MAX_CONTEXT);
    c->norm_eps = get_f32(data + AT_NORM_EPS);
    c->rope_theta = get_f64(data + AT_ROPE_THETA);
    c->bos_id = (int32_t)get_u32(data + AT_BOS_ID);
    c->n_eos = get_u32(data + AT_N_EOS);
    for (uint32_t i = 0; i < MAX_EOS; i++)
        c->eos_ids[i] = (int32_t)get_u32(data + AT_EOS_IDS + 4 * i);
    char chat[CHAT_NAME_BYTES + 1] = {0};
    memcpy(chat, data + AT_CHAT, CHAT_NAME_BYTES);
    c->chat = chat[0] ? chat_format_from_name(chat) : CHAT_UNKNOWN;
    if (c->chat == CHAT_FORMAT_COUNT) {
        for (char *p = chat; *p; p++)
            if (*p < ' ' || *p > '~')
                *p = '?';
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: unknown chat format \"%s\"", name, chat);
    }
    return config_check(c, name, err);
}

size_t format_text_bad_at(const char *text, size_t n) {
    size_t at = 0;
    while (at < n) {
        const size_t len = utf8_char_len(text + at, n - at);
        const uint32_t code = len ? utf8_code_point(text + at, len) : 0;
        if ((code < ' ' && code != '\n') || (code >= 0x7f && code < 0xa0))
            break;
        at += len;
    }
    return at;
}

/* The four texts; *at goes from the end of the preamble to their end. */
static enum bise_status read_provenance(struct file_header *h, const uint8_t *data, uint64_t *at,
                                        const char *name, struct bise_error *err) {
    struct provenance *const p = &h->provenance;
    static const char *const what[] = {"source", "recipe", "evaluation", "name"};
    char *const texts[] = {p->source, p->recipe, p->eval, p->name};
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t n = get_u32(data + AT_SOURCE_BYTES + 4 * i);
        const uint32_t most = i < 3 ? FORMAT_TEXT_MAX : FORMAT_NAME_MAX;
        if (n > most || n > h->header_bytes - *at)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: length of the %s text: expected at most %u, found %u", name,
                             what[i], most, n);
        memcpy(texts[i], data + *at, n);
        texts[i][n] = 0;
        const size_t bad = format_text_bad_at(texts[i], n);
        if (bad < n)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: byte %zu of the %s text is not printable UTF-8", name, bad,
                             what[i]);
        *at += n;
    }
    if (strchr(p->name, '\n') || !(get_u32(data + AT_FLAGS) & FLAG_NAMED) != !p->name[0])
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: a name of several lines, or without its flag, or its flag without it",
                         name);
    return BISE_OK;
}

/* Whether the part [offset, offset + length) begins at the first multiple of 64 not below end and
 * lies within limit. end <= limit. */
static bool follows(uint64_t end, uint64_t offset, uint64_t length, uint64_t limit) {
    return offset % FORMAT_ALIGN == 0 && offset >= end && offset - end < FORMAT_ALIGN &&
           offset <= limit && length <= limit - offset;
}

static enum bise_status read_places(struct file_header *h, const uint8_t *data, uint64_t at,
                                    const char *name, struct bise_error *err) {
    h->tokenizer_offset = get_u64(data + AT_TOKENIZER_OFFSET);
    h->tokenizer_bytes = get_u64(data + AT_TOKENIZER_BYTES);
    h->table_offset = get_u64(data + AT_TABLE_OFFSET);
    h->n_tensors = get_u32(data + AT_N_TENSORS);
    if (h->tokenizer_bytes == 0
            ? h->tokenizer_offset != 0
            : !follows(at, h->tokenizer_offset, h->tokenizer_bytes, h->header_bytes))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the tokenizer's place (offset %llu, %llu bytes) is not after the "
                         "provenance, at the next multiple of %u, within the header of %llu bytes",
                         name, (ull)h->tokenizer_offset, (ull)h->tokenizer_bytes, FORMAT_ALIGN,
                         (ull)h->header_bytes);
    if (h->tokenizer_bytes)
        at = h->tokenizer_offset + h->tokenizer_bytes;
    const uint64_t table = (uint64_t)h->n_tensors * FORMAT_ENTRY;
    if (!follows(at, h->table_offset, table, h->header_bytes) ||
        h->table_offset + table != h->header_bytes)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: a table of %u tensors at offset %llu does not fill the rest of the "
                         "header of %llu bytes",
                         name, h->n_tensors, (ull)h->table_offset, (ull)h->header_bytes);
    return BISE_OK;
}

/* A name is at most 63 of a-z, 0-9, '.', '_', then zeros; so that messages may print it. */
static bool read_name(char name[64], const uint8_t *data) {
    size_t n = 0;
    while (n < 64 && data[n]) {
        const uint8_t c = data[n];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_'))
            return false;
        name[n] = (char)c;
        n++;
    }
    if (n == 0 || n == 64 || !all_zero(data + n, 64 - n))
        return false;
    name[n] = 0;
    return true;
}

static enum bise_status read_codebook(struct tensor *t, const uint8_t *data, const char *name,
                                      struct bise_error *err) {
    if (t->type != TYPE_I4) {
        if (!all_zero(data, CODEBOOK_SIZE))
            return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: a codebook, but type %s", name,
                             t->name, tensor_type_name(t->type));
        return BISE_OK;
    }
    memcpy(t->codebook, data, CODEBOOK_SIZE);
    for (unsigned i = 0; i < CODEBOOK_SIZE; i++)
        if (t->codebook[i] < -32 || t->codebook[i] > 31)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: tensor %s: codebook entry %u: expected -32 to 31, found %d", name,
                             t->name, i, t->codebook[i]);
    return BISE_OK;
}

/* Entry i; *end is where the tensor before ends, and goes to where this one does. */
static enum bise_status read_entry(struct file_header *h, uint32_t i, const uint8_t *data,
                                   uint64_t *end, const char *name, struct bise_error *err) {
    struct tensor *t = &h->tensors[i];
    if (!read_name(t->name, data + ENTRY_NAME))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %u: the name is not 1 to 63 of a-z, 0-9, '.' and '_'", name,
                         i);
    const uint32_t type = get_u32(data + ENTRY_TYPE), flags = get_u32(data + ENTRY_FLAGS);
    if (type >= TYPE_COUNT)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: tensor %s: unknown type %u (known: 0 f32, 1 bf16, 2 i8, 3 i4)", name,
                         t->name, type);
    if (flags & ~FLAG_VECTOR)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: tensor %s: unknown flags %#x", name,
                         t->name, flags);
    t->type = (enum tensor_type)type;
    t->is_vector = flags & FLAG_VECTOR;
    t->rows = get_u32(data + ENTRY_ROWS);
    t->cols = get_u32(data + ENTRY_COLS);
    t->offset = get_u64(data + ENTRY_OFFSET);
    t->length = get_u64(data + ENTRY_LENGTH);
    t->crc = get_u32(data + ENTRY_CRC);
    t->error = get_f32(data + ENTRY_ERROR);
    if (t->rows == 0 || t->rows > MAX_VOCAB || t->cols == 0 || t->cols > MAX_DIM ||
        (t->is_vector && (t->rows != 1 || t->type != TYPE_F32)))
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s: tensor %s: a %s [%u][%u] of type %s is outside what the format allows", name,
            t->name, t->is_vector ? "vector" : "matrix", t->rows, t->cols,
            tensor_type_name(t->type));
    const uint64_t length = tensor_bytes(t->type, t->rows, t->cols, t->is_vector);
    if (t->length != length)
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s: tensor %s: length: expected %llu bytes for [%u][%u] of type %s, found "
            "%llu",
            name, t->name, (ull)length, t->rows, t->cols, tensor_type_name(t->type),
            (ull)t->length);
    if (!follows(*end, t->offset, t->length, h->file_bytes))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: %llu bytes at offset %llu: expected at the first multiple "
                         "of %u from %llu on, within the file's %llu bytes",
                         name, t->name, (ull)t->length, (ull)t->offset, FORMAT_ALIGN, (ull)*end,
                         (ull)h->file_bytes);
    *end = t->offset + t->length;
    if (isinf(t->error) || t->error < 0 ||
        !all_zero(data + ENTRY_UNUSED, FORMAT_ENTRY - ENTRY_UNUSED))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: a relative error of %g or unused bytes that are not zero",
                         name, t->name, (double)t->error);
    return read_codebook(t, data + ENTRY_CODEBOOK, name, err);
}

static enum bise_status read_table(struct file_header *h, const uint8_t *data, const char *name,
                                   struct bise_error *err) {
    h->tensors = calloc(h->n_tensors ? h->n_tensors : 1, sizeof *h->tensors);
    if (!h->tensors)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a table of %u tensors", name,
                         h->n_tensors);
    uint64_t end = h->header_bytes;
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        const uint8_t *entry = data + h->table_offset + (uint64_t)i * FORMAT_ENTRY;
        const enum bise_status s = read_entry(h, i, entry, &end, name, err);
        if (s != BISE_OK)
            return s;
    }
    if (end != h->file_bytes)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: the last tensor ends at %llu, the file of %llu bytes does not", name,
                         (ull)end, (ull)h->file_bytes);
    return BISE_OK;
}

enum bise_status format_read(struct file_header *h, const uint8_t *data, size_t n,
                             uint64_t file_bytes, const char *name, struct bise_error *err) {
    memset(h, 0, sizeof *h);
    h->file_bytes = file_bytes;
    enum bise_status s = format_read_preamble(data, n, file_bytes, name, &h->header_bytes, err);
    if (s != BISE_OK)
        return s;
    if (n < h->header_bytes)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a header of %llu bytes, of which %zu are there",
                         name, (ull)h->header_bytes, n);
    uint64_t at = FORMAT_PREAMBLE;
    s = check_crc(data, h->header_bytes, name, err);
    if (s == BISE_OK && !all_zero(data + AT_PREAMBLE_UNUSED, FORMAT_PREAMBLE - AT_PREAMBLE_UNUSED))
        s = bise_fail(err, BISE_ERR_FORMAT, "%s: unused bytes of the header are not zero", name);
    if (s == BISE_OK)
        s = read_config(&h->config, data, name, err);
    h->version = get_u32(data + AT_VERSION);
    if (s == BISE_OK)
        s = read_provenance(h, data, &at, name, err);
    if (s == BISE_OK)
        s = read_places(h, data, at, name, err);
    if (s == BISE_OK)
        s = read_table(h, data, name, err);
    if (s != BISE_OK)
        file_header_free(h);
    return s;
}

void file_header_free(struct file_header *h) {
    free(h->tensors);
    h->tensors = NULL;
    h->n_tensors = 0;
}
