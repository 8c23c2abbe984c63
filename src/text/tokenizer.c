#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/os/mem.h"
#include "src/text/protobuf.h"
#include "src/text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- pieces by their bytes ---- */

/* FNV-1a, folded so that the low bits depend on all of it. */
static size_t hash_bytes(const char *s, size_t len) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

/* Room for n entries; false without memory. */
static bool piece_index_open(struct piece_index *index, size_t n) {
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    index->slots = malloc(size * sizeof *index->slots);
    if (!index->slots)
        return false;
    memset(index->slots, 0xff, size * sizeof *index->slots);
    index->mask = size - 1;
    return true;
}

/* The slot that holds the piece, or the free one where it belongs. */
static size_t find_slot(const struct piece_index *index, const struct tokenizer *t,
                        const char *piece, size_t len) {
    size_t i = hash_bytes(piece, len) & index->mask;
    while (index->slots[i] >= 0) {
        const struct piece *p = &t->pieces[index->slots[i]];
        if (p->raw_len == len && memcmp(t->raw + p->raw, piece, len) == 0)
            break;
        i = (i + 1) & index->mask;
    }
    return i;
}

/* False if a piece with the same bytes is there already. */
static bool piece_index_add(struct piece_index *index, const struct tokenizer *t, int32_t id) {
    const struct piece *p = &t->pieces[id];
    const size_t i = find_slot(index, t, t->raw + p->raw, p->raw_len);
    if (index->slots[i] >= 0)
        return false;
    index->slots[i] = id;
    return true;
}

int32_t piece_index_find(const struct piece_index *index, const struct tokenizer *t,
                         const char *piece, size_t len) {
    return index->slots[find_slot(index, t, piece, len)];
}

/* ---- tokenizer.model: SentencePiece's ModelProto (sentencepiece_model.proto) ---- */

/* Field numbers. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
    TRAINER_MODEL_TYPE = 3,
    TRAINER_SUFFIX = 24,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_UNK_SURFACE = 44,
    TRAINER_BOS_PIECE = 46,
    TRAINER_EOS_PIECE = 47
};
enum {
    NORMALIZER_CHARSMAP = 2,
    NORMALIZER_PREFIX = 3,
    NORMALIZER_REMOVE_SPACES = 4,
    NORMALIZER_ESCAPE = 5
};
enum { MODEL_TYPE_UNIGRAM = 1, MODEL_TYPE_BPE = 2 };

struct span {
    const char *data;
    size_t len;
};

#define SPAN(literal) ((struct span){literal, sizeof(literal) - 1})

/* The file with SentencePiece's defaults; pieces are read in a second pass. */
struct model_proto {
    const char *name; /* for messages */
    size_t n_pieces, raw_bytes;
    uint64_t model_type;
    struct span charsmap, unk_surface, bos_piece, eos_piece;
    bool byte_fallback, suffix, add_prefix, remove_spaces, escape_spaces;
};

struct piece_proto {
    struct span text;
    float score;
    uint64_t type;
};

static enum bise_status damaged(const struct model_proto *m, const char *part,
                                struct bise_error *err) {
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: not a SentencePiece model, or damaged: %s is no sound protocol buffer",
                     m->name, part);
}

static struct span field_span(const struct pb_field *f) {
    return (struct span){(const char *)f->data, f->len};
}

static bool read_trainer(struct model_proto *m, const struct pb_field *message) {
    struct pb_reader r = pb_open(message->data, message->len);
    struct pb_field f;
    enum pb_result result;
    while ((result = pb_next(&r, &f)) == PB_FIELD) {
        if (f.wire == PB_VARINT && f.number == TRAINER_MODEL_TYPE)
            m->model_type = f.value;
        else if (f.wire == PB_VARINT && f.number == TRAINER_SUFFIX)
            m->suffix = f.value != 0;
        else if (f.wire == PB_VARINT && f.number == TRAINER_BYTE_FALLBACK)
            m->byte_fallback = f.value != 0;
        else if (f.wire == PB_BYTES && f.number == TRAINER_UNK_SURFACE)
            m->unk_surface = field_span(&f);
        else if (f.wire == PB_BYTES && f.number == TRAINER_BOS_PIECE)
            m->bos_piece = field_span(&f);
        else if (f.wire == PB_BYTES && f.number == TRAINER_EOS_PIECE)
            m->eos_piece = field_span(&f);
    }
    return result == PB_END;
}

static bool read_normalizer(struct model_proto *m, const struct pb_field *message) {
    struct pb_reader r = pb_open(message->data, message->len);
    struct pb_field f;
    enum pb_result result;
    while ((result = pb_next(&r, &f)) == PB_FIELD) {
        if (f.wire == PB_BYTES && f.number == NORMALIZER_CHARSMAP)
            m->charsmap = field_span(&f);
        else if (f.wire == PB_VARINT && f.number == NORMALIZER_PREFIX)
            m->add_prefix = f.value != 0;
        else if (f.wire == PB_VARINT && f.number == NORMALIZER_REMOVE_SPACES)
            m->remove_spaces = f.value != 0;
        else if (f.wire == PB_VARINT && f.number == NORMALIZER_ESCAPE)
            m->escape_spaces = f.value != 0;
    }
    return result == PB_END;
}

static bool read_piece(struct piece_proto *p, const struct pb_field *message) {
    struct pb_reader r = pb_open(message->data, message->len);
    struct pb_field f;
    enum pb_result result;
    *p = (struct piece_proto){.type = PIECE_NORMAL};
    while ((result = pb_next(&r, &f)) == PB_FIELD) {
        if (f.wire == PB_BYTES && f.number == PIECE_TEXT)
            p->text = field_span(&f);
        else if (f.wire == PB_FIXED32 && f.number == PIECE_SCORE)
            p->score = pb_float(&f);
        else if (f.wire == PB_VARINT && f.number == PIECE_TYPE)
            p->type = f.value;
    }
    return result == PB_END;
}

/* First pass: settings, and how many pieces of how many bytes there are. */
static enum bise_status read_outline(struct model_proto *m, const void *data, size_t len,
                                     struct bise_error *err) {
    struct pb_reader r = pb_open(data, len);
    struct pb_field f;
    enum pb_result result;
    while ((result = pb_next(&r, &f)) == PB_FIELD) {
        if (f.wire != PB_BYTES)
            continue;
        if (f.number == MODEL_PIECES) {
            m->n_pieces++;
            m->raw_bytes += f.len; /* no less than the piece's text; their sum is at most len */
        } else if (f.number == MODEL_TRAINER && !read_trainer(m, &f)) {
            return damaged(m, "trainer_spec", err);
        } else if (f.number == MODEL_NORMALIZER && !read_normalizer(m, &f)) {
            return damaged(m, "normalizer_spec", err);
        }
    }
    if (result == PB_BAD)
        return damaged(m, "the file", err);
    if (!m->n_pieces)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: not a SentencePiece model: it has no pieces",
                         m->name);
    if (m->n_pieces > TOKENIZER_MAX_PIECES)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: expected at most %u pieces, found %zu",
                         m->name, TOKENIZER_MAX_PIECES, m->n_pieces);
    return BISE_OK;
}

static enum bise_status check_outline(const struct model_proto *m, struct bise_error *err) {
    const char *what = NULL;
    if (m->model_type != MODEL_TYPE_BPE)
        what = m->model_type == MODEL_TYPE_UNIGRAM ? "a unigram model (model_type 1)"
                                                   : "a model_type that is neither";
    else if (m->charsmap.len)
        what = "a normalizer with a character map (precompiled_charsmap)";
    else if (m->remove_spaces)
        what = "a normalizer with remove_extra_whitespaces";
    else if (!m->escape_spaces)
        what = "a normalizer without escape_whitespaces";
    else if (m->suffix)
        what = "treat_whitespace_as_suffix";
    else if (m->unk_surface.len > MAX_PIECE_BYTES)
        what = "an unk_surface of more than 1024 bytes";
    if (!what)
        return BISE_OK;
    return bise_fail(
        err, BISE_ERR_UNSUPPORTED,
        "%s: expected a SentencePiece BPE model with the identity normalizer, found %s", m->name,
        what);
}

/* Checks one piece and copies it to the end of t->raw. */
static enum bise_status add_piece(struct tokenizer *t, size_t id, const struct piece_proto *p,
                                  size_t *raw_at, const char *name, struct bise_error *err) {
    const char *fault = NULL;
    if (!p->text.len)
        fault = "is empty";
    else if (p->text.len > MAX_PIECE_BYTES)
        fault = "is longer than 1024 bytes";
    else if (utf8_invalid_at(p->text.data, p->text.len) < p->text.len)
        fault = "is not valid UTF-8";
    else if (p->type < PIECE_NORMAL || p->type > PIECE_BYTE)
        fault = "is of an unknown type";
    else if (p->score != p->score)
        fault = "has a score that is not a number";
    if (fault)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: piece %zu %s", name, id, fault);
    t->pieces[id] = (struct piece){.raw = *raw_at,
                                   .raw_len = (uint32_t)p->text.len,
                                   .score = p->score,
                                   .kind = (enum piece_kind)p->type};
    memcpy(t->raw + *raw_at, p->text.data, p->text.len);
    *raw_at += p->text.len;
    t->raw[(*raw_at)++] = 0;
    return BISE_OK;
}

/* Second pass. */
static enum bise_status read_pieces(struct tokenizer *t, const struct model_proto *m,
                                    const void *data, size_t len, struct bise_error *err) {
    struct pb_reader r = pb_open(data, len);
    struct pb_field f;
    size_t raw_at = 0;
    while (pb_next(&r, &f) == PB_FIELD) {
        if (f.wire != PB_BYTES || f.number != MODEL_PIECES)
            continue;
        struct piece_proto p;
        if (!read_piece(&p, &f))
            return damaged(m, "a piece", err);
        const enum bise_status status = add_piece(t, t->n_pieces, &p, &raw_at, m->name, err);
        if (status)
            return status;
        t->n_pieces++;
    }
    return BISE_OK;
}

static enum bise_status index_pieces(struct tokenizer *t, const char *name,
                                     struct bise_error *err) {
    for (size_t i = 0; i < t->n_pieces; i++) {
        const enum piece_kind kind = t->pieces[i].kind;
        const bool mergeable =
            kind == PIECE_NORMAL || kind == PIECE_USER_DEFINED || kind == PIECE_UNUSED;
        if (!piece_index_add(mergeable ? &t->mergeable : &t->reserved, t, (int32_t)i))
            return bise_fail(err, BISE_ERR_FORMAT, "%s: piece %zu (\"%.64s\") is there twice", name,
                             i, t->raw + t->pieces[i].raw);
        if (kind == PIECE_USER_DEFINED)
            t->user_defined[t->n_user_defined++] = (int32_t)i;
        t->has_unused |= kind == PIECE_UNUSED;
        if (kind == PIECE_UNKNOWN) {
            if (t->unk_id >= 0)
                return bise_fail(err, BISE_ERR_FORMAT,
                                 "%s: expected one unknown piece, found %d and %zu", name,
                                 t->unk_id, i);
            t->unk_id = (int32_t)i;
        }
    }
    if (t->unk_id < 0)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: it has no unknown piece", name);
    return BISE_OK;
}

/* Byte value of a piece "<0x41>", -1 if it is none. */
static int byte_value(const char *raw, size_t len) {
    static const char digits[] = "0123456789ABCDEF";
    if (len != 6 || memcmp(raw, "<0x", 3) != 0 || raw[5] != '>')
        return -1;
    const char *high = strchr(digits, raw[3]), *low = strchr(digits, raw[4]);
    if (!raw[3] || !raw[4] || !high || !low)
        return -1;
    return (int)((high - digits) * 16 + (low - digits));
}

static enum bise_status find_byte_pieces(struct tokenizer *t, const char *name,
                                         struct bise_error *err) {
    memset(t->byte_ids, 0xff, sizeof t->byte_ids);
    for (size_t i = 0; i < t->n_pieces; i++) {
        const struct piece *p = &t->pieces[i];
        if (p->kind != PIECE_BYTE)
            continue;
        const int byte = byte_value(t->raw + p->raw, p->raw_len);
        if (byte < 0)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: byte piece %zu: expected <0x00> to <0xFF>, found \"%.64s\"", name,
                             i, t->raw + p->raw);
        t->byte_ids[byte] = (int32_t)i;
    }
    for (int i = 0; t->byte_fallback && i < 256; i++)
        if (t->byte_ids[i] < 0)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: byte_fallback is set, but byte piece <0x%02X> is missing", name,
                             i);
    return BISE_OK;
}

/* Id of the control piece of that name, -1 if there is none. */
static int32_t control_id(const struct tokenizer *t, struct span piece) {
    const int32_t id = piece_index_find(&t->reserved, t, piece.data, piece.len);
    return id >= 0 && t->pieces[id].kind == PIECE_CONTROL ? id : -1;
}

/* What each piece contributes to decoded text; at most as long as the raw one, unknown apart. */
static void decode_pieces(struct tokenizer *t, struct span unk_surface) {
    size_t at = 0;
    for (size_t i = 0; i < t->n_pieces; i++) {
        struct piece *p = &t->pieces[i];
        const char *raw = t->raw + p->raw;
        p->text = at;
        if (p->kind == PIECE_BYTE) {
            t->text[at++] = (char)byte_value(raw, p->raw_len);
        } else if (p->kind == PIECE_UNKNOWN) {
            memcpy(t->text + at, unk_surface.data, unk_surface.len);
            at += unk_surface.len;
        } else if (p->kind != PIECE_CONTROL) {
            for (size_t j = 0; j < p->raw_len;) {
                const bool space = p->raw_len - j >= SPACE_MARK_LEN &&
                                   memcmp(raw + j, SPACE_MARK, SPACE_MARK_LEN) == 0;
                t->text[at++] = space ? ' ' : raw[j];
                j += space ? SPACE_MARK_LEN : 1;
            }
        }
        p->text_len = (uint32_t)(at - p->text);
    }
}

/* User-defined ids in the order of their bytes, so that the longest match is a walk down ranges. */
static int compare_raw(const void *a, const void *b, void *tokenizer) {
    const struct tokenizer *t = tokenizer;
    const struct piece *pa = &t->pieces[*(const int32_t *)a];
    const struct piece *pb = &t->pieces[*(const int32_t *)b];
    const uint32_t common = pa->raw_len < pb->raw_len ? pa->raw_len : pb->raw_len;
    const int order = memcmp(t->raw + pa->raw, t->raw + pb->raw, common);
    return order ? order : (pa->raw_len > pb->raw_len) - (pa->raw_len < pb->raw_len);
}

static bool take_memory(struct tokenizer *t, const struct model_proto *m) {
    size_t raw_bytes, text_bytes;
    if (!add_ok(m->raw_bytes, m->n_pieces, &raw_bytes) ||
        !add_ok(raw_bytes, m->unk_surface.len, &text_bytes))
        return false;
    t->pieces = calloc(m->n_pieces, sizeof *t->pieces);
    t->raw = malloc(raw_bytes);
    t->text = malloc(text_bytes);
    t->user_defined = malloc(m->n_pieces * sizeof *t->user_defined);
    return t->pieces && t->raw && t->text && t->user_defined &&
           piece_index_open(&t->mergeable, m->n_pieces) &&
           piece_index_open(&t->reserved, m->n_pieces);
}

/* Reads the protocol buffer into a zeroed t; on failure t is left for tokenizer_close. */
static enum bise_status tokenizer_read(struct tokenizer *t, const void *data, size_t len,
                                       const char *name, struct bise_error *err) {
    struct model_proto m = {.name = name,
                            .model_type = MODEL_TYPE_UNIGRAM,
                            .unk_surface = SPAN(" \xe2\x81\x87 "),
                            .bos_piece = SPAN("<s>"),
                            .eos_piece = SPAN("</s>"),
                            .add_prefix = true,
                            .remove_spaces = true,
                            .escape_spaces = true};
    enum bise_status status = read_outline(&m, data, len, err);
    if (!status)
        status = check_outline(&m, err);
    if (status)
        return status;
    if (!take_memory(t, &m))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its %zu pieces", name,
                         m.n_pieces);
    t->unk_id = -1;
    t->byte_fallback = m.byte_fallback;
    t->add_prefix = m.add_prefix;
    status = read_pieces(t, &m, data, len, err);
    if (!status)
        status = index_pieces(t, name, err);
    if (!status)
        status = find_byte_pieces(t, name, err);
    if (status)
        return status;
    t->bos_id = control_id(t, m.bos_piece);
    t->eos_id = control_id(t, m.eos_piece);
    decode_pieces(t, m.unk_surface);
    qsort_r(t->user_defined, t->n_user_defined, sizeof *t->user_defined, compare_raw, t);
    return BISE_OK;
}

/* ---- the opened tokenizer ---- */

enum bise_status tokenizer_open(struct tokenizer **out, const void *data, size_t len,
                                const char *name, struct bise_error *err) {
    *out = NULL;
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the tokenizer", name);
    const enum bise_status status = tokenizer_read(t, data, len, name, err);
    if (status) {
        tokenizer_close(&t);
        return status;
    }
    *out = t;
    return BISE_OK;
}

void tokenizer_close(struct tokenizer **t) {
    if (!t || !*t)
        return;
    free((*t)->pieces);
    free((*t)->raw);
    free((*t)->text);
    free((*t)->mergeable.slots);
    free((*t)->reserved.slots);
    free((*t)->user_defined);
    free(*t);
    *t = NULL;
}

size_t tokenizer_size(const struct tokenizer *t) {
    return t->n_pieces;
}

int32_t tokenizer_bos(const struct tokenizer *t) {
    return t->bos_id;
}

int32_t tokenizer_eos(const struct tokenizer *t) {
    return t->eos_id;
}

bool tokenizer_adds_prefix(const struct tokenizer *t) {
    return t->add_prefix;
}

enum piece_kind tokenizer_kind(const struct tokenizer *t, int32_t id) {
    return t->pieces[id].kind;
}

const char *tokenizer_piece_raw(const struct tokenizer *t, int32_t id) {
    return t->raw + t->pieces[id].raw;
}

const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *len) {
    *len = 0;
    if (id < 0 || (size_t)id >= t->n_pieces)
        return NULL;
    *len = t->pieces[id].text_len;
    return t->text + t->pieces[id].text;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *piece, size_t len) {
    const int32_t id = piece_index_find(&t->reserved, t, piece, len);
    return id >= 0 ? id : piece_index_find(&t->mergeable, t, piece, len);
}
