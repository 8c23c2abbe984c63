/*
 * Constrained answers parse, every one: 1,000 samples of the demo model at temperature 1, by a
 * grammar and by schemas, each read by the JSON reader and looked at. With --print, the samples go
 * to standard output, one a line, for another reader's eyes.
 */
#include "src/base/json.h"
#include "tests/golden/models.h"
#include "tests/size.h"

#define DEMO       "models/demo.bise"
#define MAX_BYTES  4096
#define MAX_ANSWER 600

static const char grammar_of_pairs[] =
    "root ::= \"{\" pair (\", \" pair){0,3} \"}\"\n"
    "pair ::= string \": \" (string | [1-9] [0-9]{0,3} | \"[\" (string (\", \" string)?)? \"]\")\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\nt]){0,10} \"\\\"\"\n";

static const struct constraint {
    const char *name, *text;
    bool schema;
    enum json_kind kind;
} constraints[] = {
    {"grammar", grammar_of_pairs, false, JSON_OBJECT},
    {"object",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},"
     "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":130},\"mood\":{\"enum\":[\"happy\","
     "\"sad\",null]},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":5},"
     "\"maxItems\":3}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}",
     true, JSON_OBJECT},
    {"choices",
     "{\"type\":\"array\",\"minItems\":1,\"maxItems\":4,\"items\":{\"anyOf\":[{\"type\":\"number\"}"
     ","
     "{\"type\":\"boolean\"},{\"type\":\"string\",\"maxLength\":20,\"pattern\":\"^[A-Z][a-z]{1,8}( "
     "\\\\w{1,6})?$\"},"
     "{\"type\":\"array\",\"prefixItems\":[{\"const\":\"at\"},{\"type\":\"string\",\"format\":"
     "\"time\"}],\"items\":false,\"minItems\":2}]}}",
     true, JSON_ARRAY},
    {"others",
     "{\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":6}},"
     "\"required\":[\"a\"],\"additionalProperties\":false}",
     true, JSON_OBJECT},
    {"references",
     "{\"$ref\":\"#/$defs/pair\",\"$defs\":{\"pair\":{\"type\":\"object\",\"properties\":{"
     "\"key\":{\"type\":\"string\",\"maxLength\":4},\"value\":{\"oneOf\":[{\"type\":\"integer\"},"
     "{\"type\":\"null\"}]}},\"required\":[\"key\",\"value\"],\"additionalProperties\":false}}}",
     true, JSON_OBJECT},
};
#define N_CONSTRAINTS (sizeof constraints / sizeof constraints[0])

struct run {
    struct bise_model *model;
    struct bise_session *session;
    struct bise_grammar *grammar;
    int32_t prompt[16];
    size_t n_prompt;
    uint8_t *allowed;
    char text[MAX_BYTES];
    size_t len;
};

/* One sample into text; whether the model ended it. */
static bool sample(struct run *r, uint64_t seed) {
    const struct bise_model_info *info = bise_model_info(r->model);
    const struct bise_sampler_params params = {.temp = 1, .seed = seed};
    struct bise_sampler *sampler;
    struct bise_error err;
    bool ended = false;
    r->len = 0;
    must(bise_sampler_open(&sampler, info->vocab_size, &params, &err), "sampler", &err);
    bise_reset(r->session);
    must(bise_prefill(r->session, r->prompt, r->n_prompt, NULL, NULL, &err), "prefill", &err);
    bise_grammar_begin(r->grammar, false);
    for (int i = 0; i < MAX_ANSWER && !ended; i++) {
        size_t n;
        must(bise_grammar_allowed(r->grammar, r->allowed, &err), "allowed", &err);
        const int32_t id = bise_sample(sampler, bise_logits(r->session), r->allowed, NULL, 0,
                                       bise_position(r->session));
        const char *piece = bise_token_piece(r->model, id, &n);
        for (size_t e = 0; e < info->n_eos; e++)
            ended |= id == info->eos_ids[e];
        if (ended || r->len + n > MAX_BYTES)
            break;
        memcpy(r->text + r->len, piece, n);
        r->len += n;
        must(bise_grammar_accept(r->grammar, id, &err), "accept", &err);
        must(bise_decode(r->session, id, &err), "decode", &err);
    }
    bise_sampler_close(&sampler);
    return ended;
}

static void print_on_one_line(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        putchar(text[i] == '\n' ? ' ' : text[i]); /* a bare line end is a blank between parts */
    putchar('\n');
}

static void test(struct run *r, const struct constraint *c, int n, bool print) {
    struct bise_error err = {0};
    int n_good = 0;
    char text[200];
    must(c->schema ? bise_grammar_open_schema(&r->grammar, r->model, c->text, strlen(c->text), &err)
                   : bise_grammar_open(&r->grammar, r->model, c->text, strlen(c->text), &err),
         c->name, &err);
    for (int i = 0; i < n; i++) {
        struct json *json = NULL;
        const bool ended = sample(r, (uint64_t)i);
        const bool good = ended && json_parse(&json, r->text, r->len, "sample", &err) == BISE_OK &&
                          json_root(json)->kind == c->kind;
        json_close(&json);
        n_good += good;
        if (print)
            print_on_one_line(r->text, r->len);
        else if (!good)
            printf("seed %d: %.*s\n", i, (int)r->len, r->text);
    }
    bise_grammar_close(&r->grammar);
    snprintf(text, sizeof text, "%d of %d samples parse", n_good, n);
    if (!print)
        result(n_good == n, c->name, text);
}

int main(int argc, char **argv) {
    const bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
    const char *emulator = getenv("EMULATOR");
    const int total = emulator && emulator[0] ? 50 : test_full() ? 1000 : 200 /* by TEST_SIZE */;
    static struct run r;
    struct bise_error err;
    must(bise_model_open(&r.model, DEMO, NULL, &err), DEMO, &err);
    r.session = open_session(r.model, NULL, 1, 0, 0);
    r.allowed = malloc(bise_model_info(r.model)->vocab_size);
    if (!r.allowed)
        die("constrained", "no memory");
    r.prompt[0] = bise_model_info(r.model)->bos_id;
    must(bise_tokenize(r.model, "The prince:", 11, r.prompt + 1, 15, &r.n_prompt, &err), "tokenize",
         &err);
    r.n_prompt++;
    for (size_t i = 0; i < N_CONSTRAINTS; i++)
        test(&r, &constraints[i], total / (int)N_CONSTRAINTS, print);
    free(r.allowed);
    bise_session_close(&r.session);
    bise_model_close(&r.model);
    return n_failed != 0;
}
