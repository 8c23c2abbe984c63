/* tokenizer.json in its ways of writing, from the fuzz target's corpus, and what the files
 * beside it say. tests/cli/test_tokenizer_json.sh compares whole vocabularies. */
#include "quant/source/tokenizer_files.h"
#include "quant/source/tokenizer_json.h"
#include "src/os/file.h"
#include "tests/unit/toy_tokenizer.h"

#include <unistd.h>

#define CORPUS "tests/fuzz/corpus/tokenizer_json/"

static struct bise_error err;
static char note[2048];
static struct note notes = {.text = note, .cap = sizeof note};

static struct tokenizer_files open_files(const char *path) {
    struct tokenizer_files files;
    notes.len = 0;
    note[0] = 0;
    cr_assert_eq(tokenizer_files_open(&files, path, NULL, 0, &notes, &err), BISE_OK, "%s: %s", path,
                 err.detail);
    return files;
}

/* Pieces 259 on: U+2581, a, b, U+2581 a, ab, ", {; tokens <t> (266: lstrip, rstrip, single_word,
 * normalized) and vocab (267). Merges: U+2581 a, a b. */
Test(tokenizer_json, ways_of_writing) {
    static const struct {
        const char *name, *text, *ids;
    } cases[] = {
        {"old", "ab", "262 261"},
        {"old", " a", "259 262"},
        {"old", ". <t> b", "259 49 266 259 261"},
        {"old", "avocabb", "262 267 259 261"},
        {"first", "ab", "262 261"},
        {"first", " a", "262"},
        {"first", "vocabab", "267 263"},
        {"words", "ab a", "262 261 262"},
        {"words", "</s>", "259 63 50 118 65"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, CORPUS "%s", cases[i].name);
        struct tokenizer_files files = open_files(path);
        cr_assert(tokenizer_has_rules(files.tokenizer) && !files.no_bos && !files.add_eos);
        cr_assert_str_eq(toy_encode(files.tokenizer, cases[i].text), cases[i].ids, "%s: %s: %s",
                         cases[i].name, cases[i].text, toy_encode(files.tokenizer, cases[i].text));
        tokenizer_files_close(&files);
    }
}

Test(tokenizer_json, refused) {
    struct tokenizer_files files;
    cr_assert_eq(tokenizer_files_open(&files, CORPUS "unigram", NULL, 0, &notes, &err),
                 BISE_ERR_UNSUPPORTED);
    cr_assert(strstr(err.detail, "expected SentencePiece BPE (BPE with byte_fallback), found"));
    tokenizer_files_close(&files);
    cr_assert_eq(tokenizer_files_open(&files, CORPUS "gap", NULL, 0, &notes, &err),
                 BISE_ERR_FORMAT); /* one piece, of id 4000000 */
    cr_assert(strstr(err.detail, "vocab"), "%s", err.detail);
    tokenizer_files_close(&files);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

Test(tokenizer_json, files_beside_it) {
    char folder[] = "/tmp/bise-tokenizer-XXXXXX", path[64], command[64];
    uint8_t *bytes;
    size_t len;
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(file_read_whole(CORPUS "old", 1 << 20, &bytes, &len, &err), BISE_OK);
    write_file(folder, "tokenizer.json", (const char *)bytes);
    free(bytes);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    write_file(folder, "tokenizer_config.json",
               "{\"add_bos_token\": false, \"add_eos_token\": true, \"added_tokens_decoder\": {"
               "\"266\": {\"content\": \"<t>\", \"special\": false},"
               "\"268\": {\"content\": \"<|im_end|>\", \"special\": true},"
               "\"270\": {\"content\": \"<u>\", \"special\": false, \"normalized\": false}}}");
    struct tokenizer_files files = open_files(path);
    cr_assert(files.no_bos && files.add_eos);
    cr_assert(strstr(note, "disagree on what a text begins and ends with"), "%s", note);
    cr_assert(strstr(note, "tokens added to the tokenizer: 2, ids 268 to 270, matched in text: 1, "
                           "unused pieces between them: 1"),
              "%s", note);
    cr_assert_eq(tokenizer_kind(files.tokenizer, 268), PIECE_CONTROL);
    cr_assert_str_eq(toy_encode(files.tokenizer, "a<u>a"), "262 270 262");
    tokenizer_files_close(&files);
    write_file(folder, "added_tokens.json", "{\"<|im_end|>\": 269}");
    cr_assert_eq(tokenizer_files_open(&files, path, NULL, 0, &notes, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "token \"<|im_end|>\" is there twice") &&
                  strstr(err.detail, "as in ") && strstr(err.detail, "tokenizer_config.json"),
              "%s", err.detail);
    tokenizer_files_close(&files);
    write_file(folder, "added_tokens.json", "{\"<other>\": 268}");
    cr_assert_eq(tokenizer_files_open(&files, path, NULL, 0, &notes, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "expected an id of its own"), "%s", err.detail);
    tokenizer_files_close(&files);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}
