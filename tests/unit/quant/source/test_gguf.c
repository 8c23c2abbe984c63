/* GGUF files, sound and not, and their blocks against the format's formulas written out. */
#include "kernels/float_formats.h"
#include "quant/source/blocks.h"
#include "quant/source/gguf.h"
#include "quant/source/source.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"
#include "tests/unit/tiny_gguf.h"

#include <criterion/criterion.h>

static struct bise_error err;
static const char *why;
static char note[2048];

Test(gguf, every_type_and_expert) {
    static const char *const dtypes[] = {"F32", "F16", "BF16", "F32"};
    for (int variant = 0; variant < 4; variant++) {
        struct tiny t = {.dtype = dtypes[variant], .experts = variant == 3 ? 4 : 0};
        char path[128];
        struct source *s = NULL;
        struct tokenizer *tokenizer = NULL;
        size_t n, len;
        tiny_write(&t);
        tiny_write_gguf(&t, "m.gguf");
        snprintf(path, sizeof path, "%s/m.gguf", t.folder);
        cr_assert_eq(source_open(&s, path, note, sizeof note, &err), BISE_OK, "%s", err.detail);
        cr_assert(strstr(note, "--window 4096") && !strstr(note, "rounded already"), "%s", note);
        const struct source_tensor *tensors = source_tensors(s, &n);
        for (size_t i = 0; i < n; i++) {
            float rows[48 * 48];
            cr_assert_eq(source_read_rows(s, i, 0, tensors[i].rows, rows, &err), BISE_OK, "%s",
                         err.detail);
            for (uint32_t j = 0; j < tensors[i].rows * tensors[i].cols; j++)
                cr_assert_eq(rows[j], tiny_value(i, j / tensors[i].cols, j % tensors[i].cols), "%s",
                             tensors[i].name);
        }
        const uint8_t *bytes = source_tokenizer_bytes(s, &len);
        cr_assert_eq(tokenizer_open(&tokenizer, bytes, len, path, &err), BISE_OK, "%s", err.detail);
        cr_assert_eq(tokenizer_size(tokenizer), 40);
        cr_assert_str_eq(tokenizer_piece_raw(tokenizer, 7), "H");
        cr_assert(tokenizer_bos(tokenizer) == 1 && tokenizer_eos(tokenizer) == 2);
        cr_assert_eq(source_guess_chat(s, tokenizer, &why), CHAT_UNKNOWN);
        cr_assert(strstr(why, "no token is called <|im_start|>"));
        cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_CHATML);
        tokenizer_close(&tokenizer);
        source_close(&s);
        tiny_remove(&t);
    }
}

/* Cut anywhere in the header it is refused; with any byte of it changed, read or refused. */
Test(gguf, damaged) {
    struct tiny t = {0};
    char path[128];
    uint8_t *bytes;
    size_t len;
    tiny_write(&t);
    tiny_write_gguf(&t, "m.gguf");
    snprintf(path, sizeof path, "%s/m.gguf", t.folder);
    cr_assert_eq(file_read_whole(path, 1 << 20, &bytes, &len, &err), BISE_OK);
    for (size_t i = 0; i < 2 * 3000; i++) {
        struct raw_set set = {0};
        struct gguf g = {.bytes = bytes, .len = i < 3000 ? i : len};
        char *names = NULL;
        if (i >= 3000)
            bytes[i - 3000] ^= 0x91;
        const enum bise_status s = gguf_parse(&g, &set, 0, g.len, &names, "t", &err);
        if (i >= 3000)
            bytes[i - 3000] ^= 0x91;
        cr_assert(s || i >= 3000);
        for (size_t j = 0; j < set.n_tensors && !s; j++)
            cr_assert(set.tensors[j].offset <= len &&
                      set.tensors[j].bytes <= len - set.tensors[j].offset);
        free(g.values);
        free(names);
        raw_close(&set);
    }
    free(bytes);
    tiny_remove(&t);
}

/* What the metadata say is taken at its word or refused by name. */
Test(gguf, metadata) {
    static const struct {
        const char *key, *text; /* text NULL: number */
        uint32_t number;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {"llama.vocab_size", NULL, 40, BISE_OK, ""},
        {"llama.rope.dimension_count", NULL, 8, BISE_OK, ""},
        {"llama.rope.dimension_count", NULL, 4, BISE_ERR_UNSUPPORTED, "head's 8, found 4"},
        {"llama.rope.scaling.type", "none", 0, BISE_OK, ""},
        {"llama.rope.scaling.type", "linear", 0, BISE_ERR_UNSUPPORTED, "rope scaling"},
        {"general.architecture", "qwen2", 0, BISE_ERR_UNSUPPORTED, "mistral3, found qwen2"},
        {"general.alignment", NULL, 24, BISE_ERR_FORMAT, "general.alignment: expected"},
        {"general.alignment", NULL, 4096, BISE_ERR_FORMAT, "an aligned offset"},
        {"general.alignment", "32", 0, BISE_ERR_FORMAT, "general.alignment: expected"},
        {"llama.rope.scaling.type", "yarn", 0, BISE_ERR_UNSUPPORTED, "rope scaling"},
        {"", NULL, 1, BISE_ERR_FORMAT, "a value without a key"},
        {"filler", NULL, 1, BISE_ERR_FORMAT, "the key filler comes twice"},
        {"split.count", NULL, 2, BISE_ERR_FORMAT, "NAME-00001-of-00002.gguf"},
        {"general.type", "adapter", 0, BISE_ERR_UNSUPPORTED, "LoRA adapter"},
        {"tokenizer.ggml.eos_token_id", NULL, 40, BISE_OK, ""},
        {"tokenizer.ggml.bos_token_id", NULL, 0xffffffff, BISE_OK, ""},
        {"llama.context_length", "many", 0, BISE_ERR_FORMAT, "expected a whole number"},
        {"llama.rope.freq_base", NULL, 10000, BISE_ERR_FORMAT, "freq_base: expected a number"},
        {"tokenizer.ggml.scores", NULL, 0, BISE_ERR_FORMAT, "tokens, scores and token_type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = {0};
        struct tiny_bytes value = {0};
        struct source *s = NULL;
        char path[128];
        tiny_write(&t);
        tiny_write_gguf(&t, "m.gguf");
        if (cases[i].text)
            tiny_gguf_string(&value, cases[i].key, cases[i].text);
        else
            tiny_gguf_u32(&value, cases[i].key, cases[i].number);
        tiny_gguf_put_first(&t, &value, cases[i].key);
        snprintf(path, sizeof path, "%s/m.gguf", t.folder);
        const enum bise_status status = source_open(&s, path, note, sizeof note, &err);
        cr_assert_eq(status, cases[i].status, "%s: %s", cases[i].key, err.detail);
        cr_assert(!status || strstr(err.detail, cases[i].message), "%s", err.detail);
        source_close(&s);
        tiny_remove(&t);
    }
}

/* The normalizer's dummy prefix, fifth byte from the end: on unless the metadata turn it off. */
Test(gguf, space_before_the_text) {
    for (uint8_t prefix = 0; prefix < 3; prefix++) {
        struct tiny t = {0};
        struct tiny_bytes value = {0};
        struct source *s = NULL;
        char path[128];
        size_t len;
        tiny_write(&t);
        tiny_write_gguf(&t, "m.gguf");
        tiny_gguf_text(&value, prefix < 2 ? "tokenizer.ggml.add_space_prefix" : "other");
        tiny_u(&value, 7, 4);
        tiny_u(&value, prefix, 1);
        tiny_gguf_put_first(&t, &value, NULL);
        snprintf(path, sizeof path, "%s/m.gguf", t.folder);
        cr_assert_eq(source_open(&s, path, note, sizeof note, &err), BISE_OK, "%s", err.detail);
        const uint8_t *bytes = source_tokenizer_bytes(s, &len);
        cr_assert_eq(bytes[len - 5], prefix > 0);
        source_close(&s);
        tiny_remove(&t);
    }
}

static void fill(uint8_t *block, unsigned n, unsigned seed) {
    for (unsigned i = 0; i < n; i++)
        block[i] = (uint8_t)((i * 151 + seed * 77 + i * i * 13) >> 2);
}

static void put_half(uint8_t *at, float x) {
    const uint16_t u = f32_to_f16(x);
    at[0] = (uint8_t)u;
    at[1] = (uint8_t)(u >> 8);
}

Test(gguf, blocks_of_32) {
    for (unsigned seed = 0; seed < 50; seed++) {
        uint8_t b[BLOCK_MAX_BYTES];
        float x[32];
        fill(b, sizeof b, seed);
        put_half(b, 0.03125f);
        block_read(RAW_Q8_0, b, x);
        cr_assert_eq(x[17], 0.03125f * (float)(int8_t)b[19]);
        block_read(RAW_Q4_0, b, x);
        cr_assert(x[3] == 0.03125f * (float)((b[5] & 15) - 8) &&
                  x[19] == 0.03125f * (float)((b[5] >> 4) - 8));
        block_read(RAW_Q5_0, b, x);
        cr_assert_eq(x[3], 0.03125f * (float)(((b[9] & 15) | (b[2] & 8 ? 16 : 0)) - 16));
        cr_assert_eq(x[19], 0.03125f * (float)((b[9] >> 4 | (b[4] & 8 ? 16 : 0)) - 16));
        put_half(b + 2, -0.5f);
        block_read(RAW_Q4_1, b, x);
        cr_assert_eq(x[31], 0.03125f * (float)(b[19] >> 4) - 0.5f);
        block_read(RAW_Q5_1, b, x);
        cr_assert_eq(x[31], 0.03125f * (float)(b[23] >> 4 | (b[7] & 128 ? 16 : 0)) - 0.5f);
    }
}

/* Q4_K and Q5_K in the order of the bytes: pairs of groups share their nibbles' bytes. */
static void expected_k(const uint8_t *b, float *y, bool five) {
    const uint8_t *s = b + 4, *qh = b + 16, *q = b + (five ? 48 : 16);
    for (int pair = 0; pair < 4; pair++, q += 32)
        for (int second = 0; second < 2; second++) {
            const int j = 2 * pair + second;
            const int sc = j < 4 ? s[j] % 64 : s[j + 4] % 16 + 16 * (s[j - 4] / 64);
            const int mn = j < 4 ? s[j + 4] % 64 : s[j + 4] / 16 + 16 * (s[j] / 64);
            for (int l = 0; l < 32; l++) {
                const int low = second ? q[l] / 16 : q[l] % 16;
                const int high = five ? qh[l] / (1 << j) % 2 * 16 : 0;
                *y++ = 0.0625f * (float)sc * (float)(low + high) - 0.25f * (float)mn;
            }
        }
}

static void expected_q6(const uint8_t *b, float *y) {
    const uint8_t *ql = b, *qh = b + 128;
    const int8_t *sc = (const int8_t *)b + 192;
    for (int half = 0; half < 2; half++, y += 128, ql += 64, qh += 32, sc += 8)
        for (int l = 0; l < 32; l++) {
            const int q[4] = {
                (ql[l] & 15) + 16 * (qh[l] & 3), (ql[l + 32] & 15) + 16 * (qh[l] >> 2 & 3),
                (ql[l] >> 4) + 16 * (qh[l] >> 4 & 3), (ql[l + 32] >> 4) + 16 * (qh[l] >> 6)};
            for (int k = 0; k < 4; k++)
                y[l + 32 * k] = 0.0625f * (float)sc[l / 16 + 2 * k] * (float)(q[k] - 32);
        }
}

/* Q2_K and Q3_K in the order of the bytes: halves of 128, in each four times 32 values. */
static void expected_k2_k3(const uint8_t *b, float *y, bool three) {
    const uint8_t *q = b + (three ? 32 : 16), *s = three ? b + 96 : b;
    for (int half = 0; half < 2; half++, q += 32)
        for (int shift = 0; shift < 8; shift += 2)
            for (int l = 0; l < 32; l++) {
                const int group = half * 8 + shift + l / 16, low = q[l] >> shift & 3;
                if (three) {
                    const int sc = (group < 8 ? s[group] % 16 : s[group - 8] / 16) +
                                   16 * (s[8 + group % 4] >> group / 4 * 2 & 3) - 32;
                    const int high = b[l] >> (half * 4 + shift / 2) & 1;
                    *y++ = 0.0625f * (float)sc * (float)(low + 4 * high - 4);
                } else {
                    *y++ = 0.0625f * (float)(s[group] % 16) * (float)low -
                           0.25f * (float)(s[group] / 16);
                }
            }
}

Test(gguf, blocks_of_two_and_three_bits) {
    for (unsigned seed = 0; seed < 50; seed++) {
        uint8_t b[BLOCK_MAX_BYTES];
        float x[256], y[256];
        fill(b, sizeof b, seed);
        put_half(b + 80, 0.0625f);
        put_half(b + 82, 0.25f);
        block_read(RAW_Q2_K, b, x);
        expected_k2_k3(b, y, false);
        cr_assert_arr_eq(x, y, sizeof x);
        put_half(b + 108, 0.0625f);
        block_read(RAW_Q3_K, b, x);
        expected_k2_k3(b, y, true);
        for (int i = 0; i < 256; i++)
            cr_assert_eq(x[i], y[i], "%d", i);
    }
}

Test(gguf, blocks_of_iq4) {
    static const float values[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
    for (unsigned seed = 0; seed < 50; seed++) {
        uint8_t b[BLOCK_MAX_BYTES];
        float x[256];
        fill(b, sizeof b, seed);
        put_half(b, 0.0625f);
        block_read(RAW_IQ4_NL, b, x);
        cr_assert(x[5] == 0.0625f * values[b[7] % 16] && x[31] == 0.0625f * values[b[17] / 16]);
        block_read(RAW_IQ4_XS, b, x);
        for (int i = 0; i < 256; i++) {
            const int group = i / 32, l = i % 32;
            const int low = group % 2 ? b[4 + group / 2] / 16 : b[4 + group / 2] % 16;
            const int scale = low + 16 * ((b[2] + 256 * b[3]) >> 2 * group & 3) - 32;
            const uint8_t code = b[8 + 16 * group + l % 16];
            cr_assert_eq(x[i], 0.0625f * (float)scale * values[l < 16 ? code % 16 : code / 16]);
        }
    }
}

Test(gguf, blocks_of_256) {
    for (unsigned seed = 0; seed < 50; seed++) {
        uint8_t b[BLOCK_MAX_BYTES];
        float x[256], y[256];
        fill(b, sizeof b, seed);
        put_half(b, 0.0625f);
        put_half(b + 2, 0.25f);
        for (int five = 0; five < 2; five++) {
            block_read(five ? RAW_Q5_K : RAW_Q4_K, b, x);
            expected_k(b, y, five);
            cr_assert_arr_eq(x, y, sizeof x);
        }
        put_half(b + 208, 0.0625f);
        block_read(RAW_Q6_K, b, x);
        expected_q6(b, y);
        for (int i = 0; i < 256; i++)
            cr_assert_eq(x[i], y[i], "%d", i);
    }
}

/* A header of some MB may not ask for gigabytes: stacks of experts, tensors, values. */
Test(gguf, amplification_is_refused) {
    enum { N = 500 };
    struct tiny_bytes b = {0};
    struct raw_set set = {0};
    char *names = NULL;
    tiny_text(&b, "GGUF");
    tiny_u(&b, 3, 4);
    tiny_u(&b, N, 8);
    tiny_u(&b, 0, 8);
    for (int i = 0; i < N; i++) { /* each would become 256 tensors */
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ffn_up_exps.weight", i);
        tiny_gguf_text(&b, name);
        tiny_u(&b, 3, 4);
        tiny_u(&b, 1, 8);
        tiny_u(&b, 1, 8);
        tiny_u(&b, 256, 8);
        tiny_u(&b, 0, 4);
        tiny_u(&b, 0, 8);
    }
    struct gguf g = {.bytes = b.at, .len = b.n};
    cr_assert_eq(gguf_parse(&g, &set, 0, 1 << 20, &names, "t", &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "more tensors than any model has"), "%s", err.detail);
    free(g.values);
    raw_close(&set);
    static uint8_t many[4 << 20];
    memcpy(many, b.at, 8);
    put_u64(many + 8, 0);
    put_u64(many + 16, 65537);
    g = (struct gguf){.bytes = many, .len = sizeof many};
    cr_assert_eq(gguf_parse(&g, &set, 0, sizeof many, &names, "t", &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "more tensors or values than any model has"), "%s", err.detail);
    cr_assert_null(g.values);
    free(b.at);
}

/* Types that are not read are named, with what to take instead. */
Test(gguf, other_types_by_name) {
    static const struct {
        uint32_t number;
        const char *message;
    } cases[] = {{17, "type IQ2_XS is not read"},
                 {34, "type TQ1_0 is not read"},
                 {39, "type MXFP4 is not read"},
                 {26, "type I32 is not read"},
                 {99, "type number 99 is not read"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny_bytes b = {0};
        struct raw_set set = {0};
        char *names = NULL;
        tiny_text(&b, "GGUF");
        tiny_u(&b, 3, 4);
        tiny_u(&b, 1, 8);
        tiny_u(&b, 0, 8);
        tiny_gguf_text(&b, "token_embd.weight");
        tiny_u(&b, 1, 4);
        tiny_u(&b, 256, 8);
        tiny_u(&b, cases[i].number, 4);
        tiny_u(&b, 0, 8);
        struct gguf g = {.bytes = b.at, .len = b.n};
        cr_assert_eq(gguf_parse(&g, &set, 0, 1 << 20, &names, "t", &err), BISE_ERR_UNSUPPORTED);
        cr_assert(strstr(err.detail, cases[i].message), "%s", err.detail);
        cr_assert(strstr(err.detail, "take the model's Q8_0 or F16 file"));
        free(g.values);
        raw_close(&set);
        free(b.at);
    }
}
