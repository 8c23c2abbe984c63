/* Faults while a conversation is put together, a sampler and a grammar are opened and used. */
#include "src/text/chat.h"
#include "src/text/tokenizer.h"
#include "tests/fault/fault.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *bytes;
static size_t n_bytes;
static struct tokenizer *tokenizer;
static struct bise_model *model;

static bool setup(const char *dir) {
    (void)dir;
    const struct bise_model_params params = {.no_tensors = true};
    bytes = fault_read_file("tests/data/demo/tokenizer.model", &n_bytes);
    return bytes && tokenizer_open(&tokenizer, bytes, n_bytes, "demo", NULL) == BISE_OK &&
           bise_model_open(&model, "models/demo.bise", &params, NULL) == BISE_OK;
}

static void teardown(void) {
    tokenizer_close(&tokenizer);
    bise_model_close(&model);
    free(bytes);
    bytes = NULL;
}

static enum bise_status run_chat(const char *dir, struct bise_error *err) {
    (void)dir;
    static const int32_t eos = 2, answer[] = {300, 301, 2};
    struct chat *c = NULL;
    const int32_t *ids;
    size_t n = 0;
    enum bise_status status = chat_open(&c, tokenizer, CHAT_V1, 1, &eos, 1, err);
    if (status == BISE_OK)
        status = chat_set_system(c, "Be kind.", 8, err);
    for (int turn = 0; turn < 20 && status == BISE_OK; turn++) {
        status = chat_add(c, CHAT_USER, "Tell me a story of a king.", 26, err);
        if (status == BISE_OK)
            status = chat_ids(c, &ids, &n, err);
        if (status == BISE_OK)
            status = chat_add_answer(c, answer, 3, err);
    }
    if (status == BISE_OK) {
        if (chat_messages(c) != 40 || n < 200)
            status = BISE_STATUS_COUNT;
    } else if (c) { /* what is there is still right */
        const size_t kept = chat_messages(c);
        if (chat_ids(c, &ids, &n, NULL) == BISE_OK && chat_messages(c) != kept)
            status = BISE_STATUS_COUNT;
    }
    chat_close(&c);
    return status;
}

static enum bise_status run_sampler(const char *dir, struct bise_error *err) {
    (void)dir;
    static const float logits[4] = {0, 1, 2, 1};
    const struct bise_logit_bias bias = {1, 5};
    const struct bise_sampler_params params = {.repeat_last = 8, .bias = &bias, .n_bias = 1};
    struct bise_sampler *s = NULL;
    enum bise_status status = bise_sampler_open(&s, 4, &params, err);
    if (status == BISE_OK && bise_sample(s, logits, NULL, NULL, 0, 0) != 1)
        status = BISE_STATUS_COUNT;
    bise_sampler_close(&s);
    return status;
}

static enum bise_status run_grammar(const char *dir, struct bise_error *err) {
    (void)dir;
    static const char gbnf[] = "root ::= word (\", \" word){0,3} \".\"\nword ::= [a-z\xc3\xa9]+";
    static uint8_t allowed[4096];
    struct bise_grammar *g = NULL;
    enum bise_status status = bise_grammar_open(&g, model, gbnf, sizeof gbnf - 1, err);
    if (status == BISE_OK)
        status = bise_grammar_allowed(g, allowed, err);
    if (status == BISE_OK && (allowed[2] || bise_grammar_may_end(g)))
        status = BISE_STATUS_COUNT;
    bise_grammar_close(&g);
    return status;
}

static enum bise_status run_schema(const char *dir, struct bise_error *err) {
    (void)dir;
    static const char schema[] =
        "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"},\"b\":{\"pattern\":\"^[a-z]{2}$\"}},"
        "\"additionalProperties\":{\"type\":\"integer\",\"minimum\":-3},"
        "\"$defs\":{\"x\":{\"enum\":[1,\"y\"]}}}";
    struct bise_grammar *g = NULL;
    enum bise_status status = bise_grammar_open_schema(&g, model, schema, sizeof schema - 1, err);
    if (status == BISE_OK && bise_grammar_may_end(g))
        status = BISE_STATUS_COUNT;
    bise_grammar_close(&g);
    return status;
}

const struct scenario text_scenarios[] = {
    {"chat", setup, run_chat, NULL, teardown, MEETS(MALLOC)},
    {"sampler", setup, run_sampler, NULL, teardown, MEETS(MALLOC)},
    {"grammar", setup, run_grammar, NULL, teardown, MEETS(MALLOC)},
    {"json schema", setup, run_schema, NULL, teardown, MEETS(MALLOC)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
