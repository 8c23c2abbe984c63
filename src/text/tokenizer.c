#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/os/mem.h"
#include "src/os/process.h"
#include "src/text/protobuf.h"
#include "src/text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- pieces by their bytes ---- */

static uint64_t rotate(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein 2012, with one and three rounds). */
static size_t hash_bytes(const uint64_t key[2], const char *s, size_t len) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    for (size_t at = 0; at <= len; at += 8) {
        uint8_t word[8] = {0};
        const size_t n = len - at < 8 ? len - at : 8;
        memcpy(word, s + at, n);
        if (n < 8)
            word[7] = (uint8_t)len;
        const uint64_t m = get_u64(word);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return (size_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
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
    index->key[0] = process_random();
    index->key[1] = process_random();
    return true;
}

/* The slot that holds the piece, or the free one where it belongs. */
static size_t find_slot(const struct piece_index *index, const struct tokenizer *t,
                        const char *piece, size_t len) {
    size_t i = hash_bytes(index->key, piece, len) & index->mask;
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
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 }; /* and RULES_FIELD */
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
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
    struct span charsmap, unk_surface, bos_piece, eos_piece, rules;
    uint64_t byte_fallback, suffix, add_prefix, remove_spaces, escape_spaces; /* 0: false */
    bool has_rules;
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

/* A field of a message, and where it goes: a uint64_t, or a struct span. */
struct setting {
    uint32_t number;
    enum pb_wire wire;
    size_t at; /* in struct model_proto */
};

#define SETTING(number, wire, member)                                                              \
    { number, wire, offsetof(struct model_proto, member) }

static const struct setting trainer_settings[] = {
    SETTING(3, PB_VARINT, model_type),     SETTING(24, PB_VARINT, suffix),
    SETTING(35, PB_VARINT, byte_fallback), SETTING(44, PB_BYTES, unk_surface),
    SETTING(46, PB_BYTES, bos_piece),      SETTING(47, PB_BYTES, eos_piece),
};

static const struct setting normalizer_settings[] = {
    SETTING(2, PB_BYTES, charsmap),
    SETTING(3, PB_VARINT, add_prefix),
    SETTING(4, PB_VARINT, remove_spaces),
    SETTING(5, PB_VARINT, escape_spaces),
};

static bool read_settings(struct model_proto *m, const struct pb_field *message,
                          const struct setting *settings, size_t n) {
    struct pb_reader r = pb_open(message->data, message->len);
    struct pb_field f;
    enum pb_result result;
    while ((result = pb_next(&r, &f)) == PB_FIELD)
        for (size_t i = 0; i < n; i++) {
            char *const to = (char *)m + settings[i].at;
            if (f.wire != settings[i].wire || f.number != settings[i].number)
                continue;
            if (f.wire == PB_VARINT)
                memcpy(to, &f.value, sizeof f.value);
            else
                memcpy(to, &(struct span){(const char *)f.data, f.len}, sizeof(struct span));
        }
    return result == PB_END;
}

static bool read_trainer(struct model_proto *m, const struct pb_field *message) {
    return read_settings(m, message, trainer_settings,
                         sizeof trainer_settings / sizeof *trainer_settings);
}

static bool read_normalizer(struct model_proto *m, const struct pb_field *message) {
    return read_settings(m, message, normalizer_settings,
                         sizeof normalizer_settings / sizeof *normalizer_settings);
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
        } else if (f.number == RULES_FIELD) {
            if (m->has_rules)
                return damaged(m, "rules", err);
            m->has_rules = true;
            m->rules = field_span(&f);
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

/* Turn marks, whatever kind a file gives them: a user who types one means its text. */
static bool is_turn_mark(const char *s, size_t len, enum piece_kind kind) {
    static const char *const marks[] = {"<s>",
                                        "</s>",
                                        "[INST]",
                                        "[/INST]",
                                        "<<SYS>>",
                                        "<</SYS>>",
                                        "[TOOL_CALLS]",
                                        "[TOOL_RESULTS]",
                                        "[AVAILABLE_TOOLS]",
                                        "[/TOOL_RESULTS]",
                                        "[/SYSTEM_PROMPT]",
                                        "[SYSTEM_PROMPT]",
                                        "[/AVAILABLE_TOOLS]",
                                        "<start_of_turn>",
                                        "<end_of_turn>"};
    if (kind != PIECE_NORMAL && kind != PIECE_USER_DEFINED)
        return false;
    size_t letters = 2;
    while (letters < len &&
           ((s[letters] >= 'a' && s[letters] <= 'z') || s[letters] == '_' ||
            (s[letters] >= 'A' && s[letters] <= 'Z') || (s[letters] >= '0' && s[letters] <= '9')))
        letters++;
    if (len > 4 && letters + 2 == len && memcmp(s, "<|", 2) == 0 &&
        memcmp(s + letters, "|>", 2) == 0)
        return true;
    for (size_t i = 0; kind == PIECE_USER_DEFINED && i < sizeof marks / sizeof *marks; i++)
        if (strlen(marks[i]) == len && memcmp(marks[i], s, len) == 0)
            return true;
    return false;
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
    if (is_turn_mark(p->text.data, p->text.len, t->pieces[id].kind))
        t->pieces[id].kind = PIECE_CONTROL;
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
    const int32_t id = tokenizer_find(t, piece.data, piece.len);
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

/* ---- rules ---- */

/* n entries of `words` u32 in a field of bytes. */
static bool entries_of(struct span s, size_t words, size_t *n) {
    *n = s.len / (4 * words);
    return s.len % (4 * words) == 0;
}

static uint32_t word_of(struct span s, size_t i) {
    return get_u32((const uint8_t *)s.data + 4 * i);
}

static int by_right(const void *a, const void *b) {
    const struct merge *x = a, *y = b;
    return (x->right > y->right) - (x->right < y->right);
}

/* Whether piece id is left and right put together. */
static bool is_both(const struct tokenizer *t, uint32_t left, uint32_t right, uint32_t id) {
    if (left >= t->n_pieces || right >= t->n_pieces || id >= t->n_pieces)
        return false;
    const struct piece *a = &t->pieces[left], *b = &t->pieces[right], *ab = &t->pieces[id];
    return ab->raw_len == a->raw_len + b->raw_len && ab->kind != PIECE_CONTROL &&
           memcmp(t->raw + ab->raw, t->raw + a->raw, a->raw_len) == 0 &&
           memcmp(t->raw + ab->raw + a->raw_len, t->raw + b->raw, b->raw_len) == 0;
}

/* Sorts the list by left, then right; no pair comes twice. */
static enum bise_status read_merges(struct tokenizer *t, struct span list, const char *name,
                                    struct bise_error *err) {
    size_t n;
    if (!entries_of(list, 3, &n) || n > TOKENIZER_MAX_PIECES)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a list of merges of %zu bytes", name, list.len);
    t->merges = calloc(n + 1, sizeof *t->merges);
    t->merge_first = calloc(t->n_pieces + 2, sizeof *t->merge_first);
    if (!t->merges || !t->merge_first)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its %zu merges", name, n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t left = word_of(list, 3 * i), right = word_of(list, 3 * i + 1);
        if (!is_both(t, left, right, word_of(list, 3 * i + 2)))
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: merge %zu: expected two pieces and the piece of both", name, i);
        t->merge_first[left + 2]++;
    }
    for (size_t i = 2; i < t->n_pieces + 2; i++)
        t->merge_first[i] += t->merge_first[i - 1];
    for (size_t i = 0; i < n;
         i++) /* merge_first[left + 1] goes from where left begins to its end */
        t->merges[t->merge_first[word_of(list, 3 * i) + 1]++] =
            (struct merge){word_of(list, 3 * i + 1), word_of(list, 3 * i + 2), (uint32_t)i};
    for (size_t left = 0; left < t->n_pieces; left++) {
        struct merge *m = t->merges + t->merge_first[left];
        const size_t n_left = t->merge_first[left + 1] - t->merge_first[left];
        if (n_left > 1)
            qsort(m, n_left, sizeof *m, by_right);
        for (size_t i = 1; i < n_left; i++)
            if (m[i].right == m[i - 1].right)
                return bise_fail(err, BISE_ERR_FORMAT, "%s: merge %u is there twice", name,
                                 m[i].rank);
    }
    return BISE_OK;
}

/* Where tokens are matched in the changed text, their names are changed as that is. */
static void add_changed(struct tokenizer *t, struct set_name name, size_t *at) {
    char *out = t->patterns + *at;
    size_t n = 0;
    if (!(t->rules & RULE_PREFIX_LATE) && (t->rules & RULE_PREFIX) != PREFIX_NEVER) {
        memcpy(out, SPACE_MARK, SPACE_MARK_LEN);
        n = SPACE_MARK_LEN;
    }
    for (uint32_t i = 0; i < name.len; i++) {
        const bool space = name.text[i] == ' ' && (t->rules & RULE_SPACES_EARLY);
        memcpy(out + n, space ? SPACE_MARK : name.text + i, space ? SPACE_MARK_LEN : 1);
        n += space ? SPACE_MARK_LEN : 1;
    }
    name.text = out;
    name.len = (uint32_t)n;
    *at += n;
    name_set_add(&t->changed_tokens, name);
}

/* Tokens that the rules name, user-defined pieces that they do not, and control pieces, each with
 * those like it. flags [n_pieces]: of the rules, -1 where they say nothing of a piece. */
static void sort_tokens(struct tokenizer *t, const int16_t *flags) {
    size_t at = 0;
    for (size_t i = 0; i < t->n_pieces; i++) {
        const struct piece *p = &t->pieces[i];
        const bool named = flags && flags[i] >= 0, control = p->kind == PIECE_CONTROL;
        const struct set_name name = {t->raw + p->raw, p->raw_len, (int32_t)i,
                                      named ? (uint32_t)flags[i] : 0};
        if (control || p->kind == PIECE_UNKNOWN || (named && !(name.flags & TOKEN_NORMALIZED)))
            name_set_add(&t->special_tokens, name);
        if (named && !control && (name.flags & TOKEN_NORMALIZED))
            add_changed(t, name, &at);
        else if (named && !control)
            name_set_add(&t->raw_tokens, name);
        else if (p->kind == PIECE_USER_DEFINED)
            name_set_add(&t->user_defined, name);
    }
    name_set_sort(&t->special_tokens);
    name_set_sort(&t->changed_tokens);
    name_set_sort(&t->raw_tokens);
    name_set_sort(&t->user_defined);
}

/* What the rules say of tokens; *bytes: of their names, changed. */
static enum bise_status read_token_flags(struct tokenizer *t, struct span list, const char *name,
                                         int16_t **flags, size_t *bytes, struct bise_error *err) {
    size_t n;
    *bytes = 0;
    if (!entries_of(list, 2, &n))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: a list of tokens of %zu bytes", name, list.len);
    *flags = malloc((t->n_pieces + 1) * sizeof **flags);
    if (!*flags)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its %zu tokens", name, n);
    memset(*flags, 0xff, (t->n_pieces + 1) * sizeof **flags);
    for (size_t i = 0; i < n; i++) {
        const uint32_t id = word_of(list, 2 * i), value = word_of(list, 2 * i + 1);
        if (id >= t->n_pieces || value > TOKEN_FLAGS || (*flags)[id] >= 0)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %zu of the rules: id %u, flags %u: no such piece or flags, "
                             "or there twice",
                             name, i, id, value);
        (*flags)[id] = (int16_t)value;
        *bytes += SPACE_MARK_LEN + (size_t)SPACE_MARK_LEN * t->pieces[id].raw_len;
    }
    return BISE_OK;
}

static enum bise_status read_rules(struct tokenizer *t, const struct model_proto *m,
                                   struct bise_error *err) {
    struct pb_reader r = pb_open(m->rules.data, m->rules.len);
    struct pb_field f;
    enum pb_result result = PB_END;
    struct span merges = {0}, tokens = {0};
    int16_t *flags = NULL;
    size_t bytes = 0, n_named = 0, n_control = 0, n_user = 0;
    uint64_t rules = 0;
    while (m->has_rules && (result = pb_next(&r, &f)) == PB_FIELD) {
        if (f.wire == PB_VARINT && f.number == RULES_FLAGS)
            rules = f.value;
        else if (f.wire == PB_BYTES && f.number == RULES_MERGES)
            merges = field_span(&f);
        else if (f.wire == PB_BYTES && f.number == RULES_TOKENS)
            tokens = field_span(&f);
        else
            result = PB_BAD;
        if (result == PB_BAD)
            break;
    }
    if (result == PB_BAD || (rules & ~(uint64_t)RULE_ALL) || (rules & RULE_PREFIX) > PREFIX_FIRST)
        return damaged(m, "rules", err);
    t->has_rules = m->has_rules;
    t->rules = m->has_rules
                   ? (uint32_t)rules
                   : RULE_SPACES_EARLY | (uint32_t)(m->add_prefix ? PREFIX_ALWAYS : PREFIX_NEVER);
    enum bise_status s = merges.data ? read_merges(t, merges, m->name, err) : BISE_OK;
    if (!s && merges.data && !t->byte_fallback)
        s = damaged(m, "rules (merges without byte_fallback)", err);
    if (!s && tokens.data)
        s = read_token_flags(t, tokens, m->name, &flags, &bytes, err);
    for (size_t i = 0; i < t->n_pieces; i++) {
        n_named += flags && flags[i] >= 0;
        n_control += t->pieces[i].kind == PIECE_CONTROL || t->pieces[i].kind == PIECE_UNKNOWN;
        n_user += t->pieces[i].kind == PIECE_USER_DEFINED;
    }
    if (!s &&
        (!(t->patterns = malloc(bytes + 1)) || !name_set_open(&t->user_defined, n_user) ||
         !name_set_open(&t->raw_tokens, n_named) || !name_set_open(&t->changed_tokens, n_named) ||
         !name_set_open(&t->special_tokens, n_named + n_control + n_user)))
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its tokens", m->name);
    if (!s)
        sort_tokens(t, flags);
    free(flags);
    return s;
}

static bool take_memory(struct tokenizer *t, const struct model_proto *m) {
    size_t raw_bytes, text_bytes;
    if (!add_ok(m->raw_bytes, m->n_pieces, &raw_bytes) ||
        !add_ok(raw_bytes, m->unk_surface.len, &text_bytes))
        return false;
    t->pieces = calloc(m->n_pieces, sizeof *t->pieces);
    t->raw = malloc(raw_bytes);
    t->text = malloc(text_bytes);
    return t->pieces && t->raw && t->text && piece_index_open(&t->mergeable, m->n_pieces) &&
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
    return read_rules(t, &m, err);
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
    name_set_close(&(*t)->user_defined);
    name_set_close(&(*t)->raw_tokens);
    name_set_close(&(*t)->changed_tokens);
    name_set_close(&(*t)->special_tokens);
    free((*t)->patterns);
    free((*t)->merges);
    free((*t)->merge_first);
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

enum prefix_when tokenizer_prefix(const struct tokenizer *t) {
    return (enum prefix_when)(t->rules & RULE_PREFIX);
}

bool tokenizer_has_rules(const struct tokenizer *t) {
    return t->has_rules;
}

static void take_out(struct name_set *m, int32_t id) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->names[i].id != id)
            m->names[n++] = m->names[i];
    m->n = n;
}

void tokenizer_reserve(struct tokenizer *t, int32_t id) {
    if (id < 0 || (size_t)id >= t->n_pieces || t->pieces[id].kind != PIECE_USER_DEFINED)
        return;
    struct piece *p = &t->pieces[id];
    p->kind = PIECE_CONTROL;
    p->text_len = 0;
    take_out(&t->user_defined, id);
    take_out(&t->raw_tokens, id);
    take_out(&t->changed_tokens, id);
    take_out(&t->special_tokens, id);
    name_set_add(&t->special_tokens, (struct set_name){t->raw + p->raw, p->raw_len, id, 0});
    name_set_sort(&t->special_tokens);
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

int32_t tokenizer_find_control(const struct tokenizer *t, const char *piece) {
    return control_id(t, (struct span){piece, strlen(piece)});
}
