#include "src/model/format.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/model/shape.h"

#include <stdio.h>

static uint64_t align(uint64_t n) {
    return (n + FORMAT_ALIGN - 1) & ~(uint64_t)(FORMAT_ALIGN - 1);
}

static size_t text_bytes(const char *text) {
    return strnlen(text, FORMAT_TEXT_MAX);
}

static size_t name_bytes(const struct provenance *p) {
    return strnlen(p->name, FORMAT_NAME_MAX);
}

enum bise_status format_place(struct file_header *h, struct bise_error *err) {
    const struct provenance *p = &h->provenance;
    uint64_t at = FORMAT_PREAMBLE + text_bytes(p->source) + text_bytes(p->recipe) +
                  text_bytes(p->eval) + name_bytes(p);
    if (h->tokenizer_bytes > (uint64_t)1 << 32)
        return bise_fail(err, BISE_ERR_ARG, "a tokenizer of %llu bytes is too large",
                         (unsigned long long)h->tokenizer_bytes);
    h->tokenizer_offset = h->tokenizer_bytes ? align(at) : 0;
    if (h->tokenizer_bytes)
        at = h->tokenizer_offset + h->tokenizer_bytes;
    h->table_offset = align(at);
    h->header_bytes = h->table_offset + (uint64_t)h->n_tensors * FORMAT_ENTRY;
    at = h->header_bytes;
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        struct tensor *t = &h->tensors[i];
        t->offset = align(at);
        t->length = tensor_bytes(t->type, t->rows, t->cols, t->is_vector);
        if (__builtin_add_overflow(t->offset, t->length, &at) || at > INT64_MAX - FORMAT_ALIGN)
            return bise_fail(err, BISE_ERR_ARG, "the tensors' sizes overflow at %s", t->name);
    }
    h->file_bytes = at;
    return BISE_OK;
}

static uint32_t flags_of(const struct file_header *h) {
    const struct model_config *const c = &h->config;
    return (c->tied_head ? FLAG_TIED_HEAD : 0) | (c->no_bos ? FLAG_NO_BOS : 0) |
           (c->add_eos ? FLAG_ADD_EOS : 0) | (c->own_rules ? FLAG_OWN_RULES : 0) |
           (h->provenance.name[0] ? FLAG_NAMED : 0);
}

static void write_config(const struct model_config *c, uint8_t *out) {
    put_u32(out + AT_DIM, c->dim);
    put_u32(out + AT_N_LAYERS, c->n_layers);
    put_u32(out + AT_N_HEADS, c->n_heads);
    put_u32(out + AT_N_KV_HEADS, c->n_kv_heads);
    put_u32(out + AT_HEAD_DIM, c->head_dim);
    put_u32(out + AT_FFN_DIM, c->ffn_dim);
    put_u32(out + AT_VOCAB_SIZE, c->vocab_size);
    put_u32(out + AT_N_EXPERTS, c->n_experts);
    put_u32(out + AT_N_EXPERTS_USED, c->n_experts_used);
    put_u32(out + AT_WINDOW, c->window);
    put_u32(out + AT_MAX_CONTEXT, c->max_context);
    put_f32(out + AT_NORM_EPS, c->norm_eps);
    put_f64(out + AT_ROPE_THETA, c->rope_theta);
    put_u32(out + AT_BOS_ID, (uint32_t)c->bos_id);
    put_u32(out + AT_N_EOS, c->n_eos);
    for (uint32_t i = 0; i < c->n_eos; i++)
        put_u32(out + AT_EOS_IDS + 4 * i, (uint32_t)c->eos_ids[i]);
    snprintf((char *)out + AT_CHAT, CHAT_NAME_BYTES, "%s", chat_format_name(c->chat));
}

static void write_provenance(const struct provenance *p, uint8_t *out) {
    const char *const texts[] = {p->source, p->recipe, p->eval, p->name};
    uint8_t *at = out + FORMAT_PREAMBLE;
    for (unsigned i = 0; i < 4; i++) {
        const size_t n = i < 3 ? text_bytes(texts[i]) : name_bytes(p);
        put_u32(out + AT_SOURCE_BYTES + 4 * i, (uint32_t)n);
        memcpy(at, texts[i], n);
        at += n;
    }
}

static void write_entry(const struct tensor *t, uint8_t *out) {
    snprintf((char *)out + ENTRY_NAME, sizeof t->name, "%s", t->name);
    put_u32(out + ENTRY_TYPE, (uint32_t)t->type);
    put_u32(out + ENTRY_FLAGS, t->is_vector ? FLAG_VECTOR : 0);
    put_u32(out + ENTRY_ROWS, t->rows);
    put_u32(out + ENTRY_COLS, t->cols);
    put_u64(out + ENTRY_OFFSET, t->offset);
    put_u64(out + ENTRY_LENGTH, t->length);
    put_u32(out + ENTRY_CRC, t->crc);
    put_f32(out + ENTRY_ERROR, t->error);
    if (t->type == TYPE_I4)
        memcpy(out + ENTRY_CODEBOOK, t->codebook, CODEBOOK_SIZE);
}

void format_write(const struct file_header *h, uint8_t *out) {
    memcpy(out + AT_MAGIC, FORMAT_MAGIC, 8);
    put_u32(out + AT_VERSION, flags_of(h) & FLAGS_OF_V2 ? 2 : 1);
    put_u32(out + AT_FLAGS, flags_of(h));
    put_u64(out + AT_FILE_BYTES, h->file_bytes);
    put_u64(out + AT_HEADER_BYTES, h->header_bytes);
    put_u64(out + AT_TOKENIZER_OFFSET, h->tokenizer_offset);
    put_u64(out + AT_TOKENIZER_BYTES, h->tokenizer_bytes);
    put_u64(out + AT_TABLE_OFFSET, h->table_offset);
    put_u32(out + AT_N_TENSORS, h->n_tensors);
    write_config(&h->config, out);
    write_provenance(&h->provenance, out);
    for (uint32_t i = 0; i < h->n_tensors; i++)
        write_entry(&h->tensors[i], out + h->table_offset + (uint64_t)i * FORMAT_ENTRY);
    put_u32(out + AT_HEADER_CRC, 0);
    put_u32(out + AT_HEADER_CRC, crc32c(0, out, h->header_bytes));
}
