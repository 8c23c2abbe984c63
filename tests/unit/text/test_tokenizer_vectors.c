/* Whole vocabularies against what SentencePiece gives, there and back. */
#include "src/text/tokenizer.h"
#include "tests/unit/jsonl.h"

struct vectors {
    struct tokenizer *t;
    const char *key; /* where a line has the ids */
};

static void check_line(void *arg, const struct json_value *line) {
    const struct vectors *v = arg;
    const struct json_value *text = json_get(line, "text"), *want = json_get(line, v->key);
    int32_t ids[4096];
    size_t n;
    struct bise_error err = {0};
    cr_assert_eq(tokenizer_encode(v->t, text->string, text->len, true, ids, 4096, &n, &err),
                 BISE_OK, "%s", err.detail);
    cr_expect(ids_equal(want, ids, n), "%s: \"%s\"", v->key, text->string);
    if (strstr(text->string, "\xe2\x96\x81")) /* U+2581 in a text comes back as a space */
        return;
    char back[16384];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(v->t, ids[i], &len);
        cr_assert_leq(at + len, sizeof back);
        memcpy(back + at, piece, len);
        at += len;
    }
    if (n) /* the prefix */
        cr_expect_eq(back[0], ' ');
    cr_expect(n == 0 || (at == text->len + 1 && memcmp(back + 1, text->string, text->len) == 0),
              "decoded \"%s\"", text->string);
}

/* Returns how many lines were checked. */
static size_t check_vectors(const char *model, const char *lines, const char *key) {
    size_t len;
    char *bytes = read_whole(model, &len);
    struct vectors v = {.key = key};
    struct bise_error err = {0};
    if (!bytes)
        return 0;
    cr_assert_eq(tokenizer_open(&v.t, bytes, len, model, &err), BISE_OK, "%s", err.detail);
    free(bytes); /* nothing of it is kept */
    const size_t n = each_line(lines, check_line, &v);
    tokenizer_close(&v.t);
    return n;
}

Test(tokenizer_vectors, demo) {
    cr_assert_eq(
        check_vectors("tests/data/demo/tokenizer.model", "tests/data/demo/tokenize.jsonl", "ids"),
        155);
}

static void check_shared(const char *version) {
    char lines[1024], name[64];
    snprintf(lines, sizeof lines, "%s", shared_path("data/golden/tokenize.jsonl"));
    snprintf(name, sizeof name, "data/tokenizers/mistral-%s.model", version);
    const size_t n = check_vectors(shared_path(name), lines, version);
    if (!n)
        cr_skip_test("%s is not there", shared_path(name));
    cr_assert_eq(n, 315);
}

Test(tokenizer_vectors, mistral_v1) {
    check_shared("v1");
}

Test(tokenizer_vectors, mistral_v2) {
    check_shared("v2");
}

Test(tokenizer_vectors, mistral_v3) {
    check_shared("v3");
}
