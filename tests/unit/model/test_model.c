/* Opening files: what is sound opens and is bound, what is not is refused by name. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/model/format.h"
#include "src/model/model.h"
#include "src/model/model_memory.h"
#include "tests/unit/tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>

static char folder[256], path[300];
static struct bise_error err;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/tiny.bise", folder);
    memset(&err, 0, sizeof err);
}

static void teardown(void) {
    unlink(path);
    rmdir(folder);
}

TestSuite(model, .init = setup, .fini = teardown);

static void write_tiny(enum tensor_type type) {
    const struct model_config c = tiny_config();
    cr_assert_eq(tiny_write(path, &c, type, &err), BISE_OK, "%s", err.detail);
}

static enum bise_status try_open(const struct bise_model_params *params) {
    struct bise_model *m = NULL;
    err.detail[0] = 0;
    const enum bise_status s = bise_model_open(&m, path, params, &err);
    cr_assert((s == BISE_OK) == (m != NULL));
    bise_model_close(&m);
    cr_assert_null(m);
    return s;
}

static void check_tiny(const struct bise_model *m, bool with_data) {
    const struct bise_model_info *info = bise_model_info(m);
    cr_assert_eq(info->dim, 32);
    cr_assert_eq(info->n_layers, 2);
    cr_assert_eq(info->window, 64);
    cr_assert_eq(info->rope_theta, 10000);
    cr_assert_eq(info->norm_eps, 1e-5f);
    cr_assert_eq(info->n_eos, 2);
    cr_assert_eq(info->eos_ids[1], 7);
    cr_assert_str_eq(info->chat_format, "v1");
    cr_assert_not(info->has_tokenizer);
    cr_assert_str_eq(m->provenance.recipe, tiny_provenance.recipe);
    cr_assert_str_eq(m->embed->name, "tok_embeddings");
    cr_assert_str_eq(m->head->name, "output");
    cr_assert_str_eq(m->layers[1].w2[0]->name, "layers.1.feed_forward.w2");
    cr_assert_eq(m->layers[1].w2[0]->rows, 32);
    cr_assert_eq(m->layers[1].w2[0]->cols, 48);
    cr_assert_str_eq(m->layers[0].ffn_norm->name, "layers.0.ffn_norm");
    cr_assert_null(m->layers[0].router);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        cr_assert_eq((uintptr_t)t->offset % 64, 0);
        if (!with_data) {
            cr_assert_null(t->w.panels);
            continue;
        }
        for (uint64_t j = 0; j < t->length; j++)
            cr_assert_eq(t->w.panels[j], tiny_byte(i, j));
        cr_assert_eq(crc32c(0, t->w.panels, t->length), t->crc);
    }
}

Test(model, round_trip_of_every_type_and_memory) {
    static const char *const names[] = {"f32", "bf16", "i8", "i4"};
    for (unsigned type = 0; type < TYPE_COUNT; type++) {
        write_tiny((enum tensor_type)type);
        for (unsigned memory = BISE_MEMORY_AUTO; memory <= BISE_MEMORY_MMAP; memory++)
            for (unsigned no_tensors = 0; no_tensors < 2; no_tensors++) {
                struct bise_model *m = NULL;
                const struct bise_model_params params = {
                    .memory = (enum bise_memory)memory, .n_threads = 2, .no_tensors = no_tensors};
                cr_assert_eq(bise_model_open(&m, path, &params, &err), BISE_OK, "%s", err.detail);
                check_tiny(m, !no_tensors);
                cr_assert_str_eq(bise_model_info(m)->weight_type, names[type]);
                cr_assert_eq(m->map_is_copy, memory == BISE_MEMORY_HUGE && !no_tensors);
                bise_model_close(&m);
            }
    }
}

Test(model, mixture_and_tied_head_are_bound) {
    struct model_config c = tiny_config();
    c.n_experts = 3;
    c.n_experts_used = 2;
    c.tied_head = true;
    cr_assert_eq(tiny_write(path, &c, TYPE_I8, &err), BISE_OK, "%s", err.detail);
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(m->head, m->embed);
    cr_assert_str_eq(m->layers[1].router->name, "layers.1.feed_forward.gate");
    cr_assert_eq(m->layers[1].router->type, TYPE_F32);
    cr_assert_str_eq(m->layers[1].w3[2]->name, "layers.1.feed_forward.experts.2.w3");
    cr_assert_str_eq(m->layers[0].w1[1]->name, "layers.0.feed_forward.experts.1.w1");
    bise_model_close(&m);
}

Test(model, truncated_at_every_byte_is_refused) {
    write_tiny(TYPE_I4);
    size_t n = 0;
    uint8_t *bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    const size_t header = get_u64(bytes + AT_HEADER_BYTES);
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP};
    for (size_t cut = n; cut-- > 0;) {
        if (cut > header + 200 && cut + 200 < n && cut % 97 != 0)
            continue; /* in the data every 97th byte will do */
        cr_assert_eq(truncate(path, (off_t)cut), 0);
        cr_assert_eq(try_open(&params), BISE_ERR_FORMAT, "at %zu", cut);
        if (cut >= FORMAT_PREAMBLE)
            cr_assert(strstr(err.detail, "truncated") && strstr(err.detail, "missing"), "%s",
                      err.detail);
    }
    bytes[n] = 0;
    cr_assert(tiny_dump(path, bytes, n + 1));
    cr_assert_eq(try_open(&params), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "too long"));
    free(bytes);
}

Test(model, every_flipped_bit_of_the_header_is_refused) {
    write_tiny(TYPE_I4);
    size_t n = 0;
    uint8_t *bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    const size_t header = get_u64(bytes + AT_HEADER_BYTES);
    for (size_t bit = 0; bit < 8 * header; bit++) {
        struct file_header h;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_neq(format_read(&h, bytes, n, n, "tiny", &err), BISE_OK, "bit %zu", bit);
        cr_assert_null(h.tensors);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

/* Changes bytes of the header and mends its CRC, so that the rule behind is what refuses. */
struct edit {
    const char *what, *message;
    enum bise_status status;
    size_t at; /* in the preamble, or in entry ENTRY_OF - 1 */
    int entry; /* -1: preamble */
    unsigned size;
    uint64_t value;
};

static uint64_t f64_bits(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void check_edit(uint8_t *bytes, size_t n, const struct edit *e) {
    uint8_t *at = bytes + e->at;
    if (e->entry >= 0)
        at += get_u64(bytes + AT_TABLE_OFFSET) + (size_t)e->entry * FORMAT_ENTRY;
    uint8_t old[8];
    memcpy(old, at, 8);
    for (unsigned i = 0; i < e->size; i++)
        at[i] = (uint8_t)(e->value >> 8 * i);
    const uint64_t header = get_u64(bytes + AT_HEADER_BYTES);
    if (header >= FORMAT_PREAMBLE && header <= n) {
        put_u32(bytes + AT_HEADER_CRC, 0);
        put_u32(bytes + AT_HEADER_CRC, crc32c(0, bytes, header));
    }
    cr_assert(tiny_dump(path, bytes, n));
    const enum bise_status s = try_open(NULL);
    cr_assert_eq(s, e->status, "%s: status %d: %s", e->what, (int)s, err.detail);
    cr_assert_not_null(strstr(err.detail, e->message), "%s: %s", e->what, err.detail);
    memcpy(at, old, 8);
}

Test(model, wrong_numbers_are_refused_by_name) {
    write_tiny(TYPE_I4);
    size_t n = 0;
    uint8_t *bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    const uint8_t *table = bytes + get_u64(bytes + AT_TABLE_OFFSET);
    const uint64_t offset = get_u64(table + FORMAT_ENTRY + ENTRY_OFFSET);
    const enum bise_status bad = BISE_ERR_FORMAT, unsupported = BISE_ERR_UNSUPPORTED;
    const struct edit edits[] = {
        {"later version", "later bise", unsupported, AT_VERSION, -1, 4, 3},
        {"version 2 for nothing", "nothing that needs it", bad, AT_VERSION, -1, 4, 2},
        {"version 2's flag in version 1", "unknown flags", unsupported, AT_FLAGS, -1, 4,
         FLAG_NO_BOS},
        {"version 0", "version", bad, AT_VERSION, -1, 4, 0},
        {"magic", "not a .bise", bad, AT_MAGIC, -1, 1, 'b'},
        {"unfinished", "never finished", bad, AT_MAGIC, -1, 8, 0},
        {"huge file", "missing", bad, AT_FILE_BYTES, -1, 8, UINT64_MAX},
        {"huge header", "header length", bad, AT_HEADER_BYTES, -1, 8, UINT64_MAX - 63},
        {"odd header", "header length", bad, AT_HEADER_BYTES, -1, 8, 1001},
        {"no header", "header length", bad, AT_HEADER_BYTES, -1, 8, 0},
        {"huge table", "table", bad, AT_N_TENSORS, -1, 4, UINT32_MAX},
        {"empty table", "table", bad, AT_N_TENSORS, -1, 4, 0},
        {"table beyond", "table", bad, AT_TABLE_OFFSET, -1, 8, UINT64_MAX - 127},
        {"tokenizer beyond", "tokenizer", bad, AT_TOKENIZER_BYTES, -1, 8, UINT64_MAX},
        {"tokenizer placed", "tokenizer", bad, AT_TOKENIZER_OFFSET, -1, 8, 320},
        {"source length", "source text", bad, AT_SOURCE_BYTES, -1, 4, UINT32_MAX},
        {"flags", "flags", unsupported, AT_FLAGS, -1, 4, 6},
        {"dim 0", "hidden size", bad, AT_DIM, -1, 4, 0},
        {"dim huge", "hidden size", bad, AT_DIM, -1, 4, UINT32_MAX},
        {"layers", "layers", bad, AT_N_LAYERS, -1, 4, MAX_LAYERS + 1},
        {"more layers", "layers.2.attention_norm is missing", bad, AT_N_LAYERS, -1, 4, 3},
        {"fewer layers", "does not belong", bad, AT_N_LAYERS, -1, 4, 1},
        {"heads", "multiple", bad, AT_N_KV_HEADS, -1, 4, 3},
        {"kv 0", "KV heads", bad, AT_N_KV_HEADS, -1, 4, 0},
        {"odd head", "even", bad, AT_HEAD_DIM, -1, 4, 15},
        {"head times heads", "heads times", bad, AT_N_HEADS, -1, 4, MAX_DIM},
        {"experts used", "experts per token", bad, AT_N_EXPERTS_USED, -1, 4, 1},
        {"experts", "experts per token", bad, AT_N_EXPERTS, -1, 4, 4},
        {"vocab", "vocabulary", bad, AT_VOCAB_SIZE, -1, 4, MAX_VOCAB + 1},
        {"vocab shape", "tok_embeddings", bad, AT_VOCAB_SIZE, -1, 4, 41},
        {"theta nan", "theta", bad, AT_ROPE_THETA, -1, 8, f64_bits((double)NAN)},
        {"theta 0", "theta", bad, AT_ROPE_THETA, -1, 8, 0},
        {"eps", "epsilon", bad, AT_NORM_EPS, -1, 4, 0x7f800000},
        {"bos", "beginning-of", bad, AT_BOS_ID, -1, 4, 40},
        {"eos", "end-of", bad, AT_EOS_IDS, -1, 4, 0x80000000},
        {"eos count", "end-of", bad, AT_N_EOS, -1, 4, 17},
        {"chat", "chat format \"w1\"", unsupported, AT_CHAT, -1, 1, 'w'},
        {"name's length", "length of the name text", bad, AT_NAME_BYTES, -1, 4,
         FORMAT_NAME_MAX + 1},
        {"name of zeros", "byte 0 of the name text", bad, AT_NAME_BYTES, -1, 4, 1},
        {"name's flag in version 1", "unknown flags", unsupported, AT_FLAGS, -1, 4, FLAG_NAMED},
        {"unused", "unused", bad, AT_PREAMBLE_UNUSED, -1, 1, 1},
        {"type", "tok_embeddings: unknown type 4", unsupported, ENTRY_TYPE, 0, 4, 4},
        {"type of length", "length", bad, ENTRY_TYPE, 0, 4, TYPE_I8},
        {"vector of i4", "vector", bad, ENTRY_FLAGS, 0, 4, FLAG_VECTOR},
        {"entry flags", "flags", unsupported, ENTRY_FLAGS, 0, 4, 2},
        {"rows 0", "matrix [0]", bad, ENTRY_ROWS, 0, 4, 0},
        {"rows huge", "outside", bad, ENTRY_ROWS, 0, 4, UINT32_MAX},
        {"cols huge", "outside", bad, ENTRY_COLS, 0, 4, UINT32_MAX},
        {"rows within the panel", "expected a matrix [40]", bad, ENTRY_ROWS, 0, 4, 41},
        {"length", "length", bad, ENTRY_LENGTH, 0, 8, UINT64_MAX},
        {"overlap", "attention_norm", bad, ENTRY_OFFSET, 1, 8, offset - 64},
        {"misaligned", "attention_norm", bad, ENTRY_OFFSET, 1, 8, offset + 4},
        {"gap", "attention_norm", bad, ENTRY_OFFSET, 1, 8, offset + 64},
        {"offset huge", "attention_norm", bad, ENTRY_OFFSET, 1, 8, UINT64_MAX - 63},
        {"codebook", "codebook", bad, ENTRY_CODEBOOK + 3, 0, 1, 32},
        {"codebook of f32", "codebook", bad, ENTRY_CODEBOOK, 1, 1, 1},
        {"error", "relative error", bad, ENTRY_ERROR, 0, 4, 0xbf800000},
        {"unused in entry", "unused", bad, ENTRY_UNUSED + 1, 0, 1, 1},
        {"name", "name is not", bad, ENTRY_NAME, 0, 1, 27},
        {"empty name", "name is not", bad, ENTRY_NAME, 0, 1, 0},
        {"missing", "tensor tok_embeddings is missing", bad, ENTRY_NAME, 0, 1, 'x'},
        {"twice", "layers.1.attention_norm is missing", bad, ENTRY_NAME + 7, 10, 1, '0'},
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++)
        check_edit(bytes, n, &edits[i]);
    const struct edit flag_alone = {"name's flag", "its flag without it", bad, AT_FLAGS, -1, 4,
                                    FLAG_NAMED};
    put_u32(bytes + AT_VERSION, 2);
    check_edit(bytes, n, &flag_alone);
    put_u32(bytes + AT_VERSION, 1);
    put_u32(bytes + AT_HEADER_CRC, 0);
    put_u32(bytes + AT_HEADER_CRC, crc32c(0, bytes, get_u64(bytes + AT_HEADER_BYTES)));
    cr_assert(tiny_dump(path, bytes, n));
    cr_assert_eq(try_open(NULL), BISE_OK, "%s", err.detail);
    free(bytes);
}

Test(model, what_is_no_file_is_refused) {
    cr_assert_eq(try_open(NULL), BISE_ERR_IO);
    cr_assert_not_null(strstr(err.detail, path));
    cr_assert(tiny_dump(path, (const uint8_t *)"", 0));
    cr_assert_eq(try_open(NULL), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "empty"));
    cr_assert(tiny_dump(path, (const uint8_t *)"GGUF....", 8));
    cr_assert_eq(try_open(NULL), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "not a .bise"));
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, folder, NULL, &err), BISE_ERR_IO);
    cr_assert_not_null(strstr(err.detail, "regular"));
    cr_assert_eq(bise_model_open(&m, NULL, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_model_open(NULL, path, NULL, NULL), BISE_ERR_ARG);
    cr_assert_null(bise_model_info(NULL));
    bise_model_close(NULL);
}

static bool stop(void *user, size_t done, size_t total) {
    cr_assert(done <= total);
    ++*(int *)user;
    return true;
}

Test(model, reading_into_memory_can_be_stopped) {
    write_tiny(TYPE_F32);
    int calls = 0;
    const struct bise_model_params params = {
        .memory = BISE_MEMORY_HUGE, .n_threads = 1, .progress = stop, .progress_user = &calls};
    cr_assert_eq(try_open(&params), BISE_ERR_INTERRUPTED);
    cr_assert_eq(calls, 1);
}

Test(model, memory_is_chosen_by_what_is_left) {
    const uint64_t gib = (uint64_t)1 << 30;
    const struct {
        enum bise_memory asked;
        uint64_t file, available, limit;
        bool huge_pages, expected;
    } cases[] = {
        {BISE_MEMORY_AUTO, 4 * gib, 16 * gib, UINT64_MAX, true, true},
        {BISE_MEMORY_AUTO, 4 * gib, 16 * gib, UINT64_MAX, false, false},
        {BISE_MEMORY_AUTO, 4 * gib, 6 * gib, UINT64_MAX, true, false},
        {BISE_MEMORY_AUTO, 4 * gib, 16 * gib, 6 * gib, true, false},
        {BISE_MEMORY_AUTO, gib / 2, gib, UINT64_MAX, true, false},
        {BISE_MEMORY_AUTO, gib / 1024, 16 * gib, UINT64_MAX, true, false},
        {BISE_MEMORY_MMAP, 4 * gib, 16 * gib, UINT64_MAX, true, false},
        {BISE_MEMORY_HUGE, 4 * gib, 6 * gib, UINT64_MAX, true, true},
        {BISE_MEMORY_HUGE, 1, 6 * gib, UINT64_MAX, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char phrase[160] = "";
        const struct mem_facts facts = {64 * gib, cases[i].available, cases[i].limit, UINT64_MAX};
        cr_assert_eq(memory_prefers_huge(cases[i].asked, cases[i].file, &facts, cases[i].huge_pages,
                                         phrase, sizeof phrase),
                     cases[i].expected, "case %zu: %s", i, phrase);
        cr_assert_neq(phrase[0], 0);
    }
}
