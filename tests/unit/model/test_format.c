/* The committed example of docs/format.md, and headers written and read back. */

#include "src/base/bytes.h"
#include "src/model/format.h"
#include "tests/unit/tiny_model.h"

#include <criterion/criterion.h>
#include <math.h>

static struct bise_error err;

Test(format, example_of_the_documentation) {
    static const float norm[] = {1, 1.125f, 0.875f, 1.25f};
    static const float limits[TYPE_COUNT] = {0, 0, 0.003f, 0.05f};
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, "tests/data/format/example.bise", NULL, &err), BISE_OK, "%s",
                 err.detail);
    cr_assert_eq(m->n_tensors, 11);
    cr_assert_eq(m->head, m->embed);
    cr_assert_eq(m->config.window, 16);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        float row[TILE_K];
        for (unsigned r = 0; r < t->rows; r++) {
            if (t->is_vector)
                memcpy(row, t->w.panels, sizeof norm);
            else
                dequantize_row(row, t->type, &t->w, r);
            for (unsigned k = 0; k < t->cols; k++) {
                const float x = t->is_vector ? norm[k] : ((float)((7 * r + 3 * k) % 11) - 5) / 8;
                cr_assert_float_eq(row[k], x, (double)limits[t->type] + 1e-30, "%s [%u][%u]",
                                   t->name, r, k);
            }
        }
    }
    bise_model_close(&m);
}

/* Places h, writes it and reads it back. */
static struct file_header round_trip(struct file_header *h) {
    struct file_header back;
    cr_assert_eq(format_place(h, &err), BISE_OK, "%s", err.detail);
    uint8_t *bytes = calloc(1, h->header_bytes);
    format_write(h, bytes);
    cr_assert_eq(format_read(&back, bytes, h->header_bytes, h->file_bytes, "it", &err), BISE_OK,
                 "%s", err.detail);
    free(bytes);
    return back;
}

Test(format, header_round_trip_at_the_limits) {
    static struct tensor tensors[2] = {
        {.name = "a.name_that_is_as_long_as_names_may_be.0123456789.0123456789012",
         .type = TYPE_I4,
         .rows = MAX_VOCAB,
         .cols = MAX_DIM,
         .error = 0.5f},
        {.name = "b", .type = TYPE_F32, .rows = 1, .cols = 3, .is_vector = true, .error = NAN},
    };
    struct file_header h = {.config = tiny_config(), .tensors = tensors, .n_tensors = 2};
    cr_assert_eq(strlen(tensors[0].name), 63);
    h.config.n_eos = MAX_EOS;
    for (int i = 0; i < (int)MAX_EOS; i++)
        h.config.eos_ids[i] = 39 - i;
    h.config.bos_id = -1;
    h.config.window = MAX_POSITIONS;
    memset(h.provenance.source, 's', FORMAT_TEXT_MAX);
    memset(h.provenance.eval, 'e', FORMAT_TEXT_MAX);
    h.tokenizer_bytes = 77;
    for (unsigned chat = 0; chat < CHAT_FORMAT_COUNT; chat++) {
        h.config.chat = (enum chat_format)chat;
        struct file_header back = round_trip(&h);
        cr_assert_eq(back.config.chat, h.config.chat);
        cr_assert_eq(back.config.bos_id, -1);
        cr_assert_eq(back.config.eos_ids[MAX_EOS - 1], 24);
        cr_assert_eq(back.config.window, MAX_POSITIONS);
        cr_assert_str_eq(back.provenance.source, h.provenance.source);
        cr_assert_str_eq(back.provenance.recipe, "");
        cr_assert_str_eq(back.provenance.eval, h.provenance.eval);
        cr_assert_eq(back.tokenizer_bytes, 77);
        cr_assert_str_eq(back.tensors[0].name, tensors[0].name);
        cr_assert_eq(back.tensors[0].length, (uint64_t)MAX_VOCAB / 16 * (64 + 8192 * 1088));
        cr_assert_eq(back.tensors[0].error, 0.5f);
        cr_assert(isnan(back.tensors[1].error));
        cr_assert_eq(back.tensors[1].length, 12);
        cr_assert_eq(back.file_bytes, back.tensors[1].offset + 12);
        file_header_free(&back);
    }
}

/* Version 2 is written where one of its flags is set, and only there. */
Test(format, version_2_only_where_it_is_needed) {
    for (unsigned flags = 0; flags < 32; flags++) {
        struct tensor tensor = {
            .name = "b", .type = TYPE_F32, .rows = 1, .cols = 3, .is_vector = 1};
        struct file_header h = {.config = tiny_config(), .tensors = &tensor, .n_tensors = 1};
        h.config.tied_head = flags & 1;
        h.config.no_bos = flags & 2;
        h.config.add_eos = flags & 4;
        h.config.own_rules = flags & 8;
        if (flags & 16)
            strcpy(h.provenance.name, "Zo\u00eb's");
        struct file_header back = round_trip(&h);
        cr_assert_eq(back.version, flags & 30 ? 2 : 1);
        cr_assert_str_eq(back.provenance.name, h.provenance.name);
        cr_assert(
            back.config.tied_head == h.config.tied_head && back.config.no_bos == h.config.no_bos &&
            back.config.add_eos == h.config.add_eos && back.config.own_rules == h.config.own_rules);
        cr_assert_eq(config_text_bos(&back.config), flags & 2 ? -1 : h.config.bos_id);
        file_header_free(&back);
    }
}

Test(format, sizes_that_overflow_are_refused) {
    const size_t n = 1 << 21; /* of 2^43 bytes each */
    struct file_header h = {.config = tiny_config(), .n_tensors = (uint32_t)n};
    h.tensors = calloc(n, sizeof *h.tensors);
    cr_assert_not_null(h.tensors);
    for (size_t i = 0; i < n; i++) {
        h.tensors[i].type = TYPE_F32;
        h.tensors[i].rows = MAX_VOCAB;
        h.tensors[i].cols = MAX_DIM;
    }
    cr_assert_eq(format_place(&h, &err), BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "overflow"));
    file_header_free(&h);
    h = (struct file_header){.config = tiny_config(), .tokenizer_bytes = UINT64_MAX};
    cr_assert_eq(format_place(&h, &err), BISE_ERR_ARG);
}

Test(format, printable_texts) {
    static const struct {
        const char *text;
        size_t n, bad_at;
    } cases[] = {{"abc\n", 4, 4},        {"a\tb", 3, 1},
                 {"\x7f", 1, 0},         {"a\0b", 3, 1},
                 {"\xc2\x9b", 2, 0},     {"\xc2\xa0", 2, 2},
                 {"\xe2\x82", 2, 0},     {"x\xff", 2, 1},
                 {"\xe2\x82\xac", 3, 3}, {"\xf0\x9f\x98\x80", 4, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(format_text_bad_at(cases[i].text, cases[i].n), cases[i].bad_at, "case %zu", i);
}

Test(format, names_of_types_and_chat_formats) {
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        cr_assert_eq(tensor_type_from_name(tensor_type_name((enum tensor_type)i)), i);
    cr_assert_eq(tensor_type_from_name("q4_0"), TYPE_COUNT);
    cr_assert_str_eq(tensor_type_name(TYPE_COUNT), "unknown");
    for (unsigned i = CHAT_NONE; i < CHAT_FORMAT_COUNT; i++)
        cr_assert_eq(chat_format_from_name(chat_format_name((enum chat_format)i)), i);
    cr_assert_eq(chat_format_from_name(""), CHAT_FORMAT_COUNT);
    cr_assert_str_eq(chat_format_name(CHAT_FORMAT_COUNT), "");
}
