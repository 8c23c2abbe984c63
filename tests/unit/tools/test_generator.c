#include "tools/common/generator.h"
#include "tools/common/speculate.h"

#include <criterion/criterion.h>
#include <string.h>

/* What a generator needs, of the demo model. */
struct bench {
    struct bise_model *model;
    struct bise_engine *engine;
    struct bise_sampler *sampler;
    struct id_list ids;
    struct buffer text, calls_text;
    struct text_out out, calls_out;
    struct bise_grammar *grammar; /* of calls */
    struct generator_calls calls;
    uint8_t *allowed;
    size_t n_told, n_read;
    bool marked_late; /* the mark came, and not first */
};

static bool note_id(void *arg, int32_t id, const float *logits) {
    struct bench *b = arg;
    cr_assert_not_null(logits);
    b->marked_late |= id == b->calls.mark && b->n_told > 0;
    b->n_told++;
    return true;
}

static void note_read(void *arg, const struct bise_run *run) {
    struct bench *b = arg;
    cr_assert_eq(run->want, BISE_WANT_ALL);
    b->n_read += run->n;
}

static struct generator begin(struct bench *b, enum calls_allowed allowed, int64_t max_tokens) {
    static const char prompt[] = "The old king";
    static const char gbnf[] = "root ::= \"[\" [0-9]{3} \"]\"";
    const struct bise_model_params how = {.memory = BISE_MEMORY_MMAP};
    const struct bise_engine_params params = {.n_seqs = 1, .n_threads = 1, .n_ctx = 128};
    const struct bise_sampler_params sampling = {
        .temp = 1, .top_p = 1, .typical_p = 1, .seed = 7, .repeat_penalty = 1};
    *b = (struct bench){.n_told = 0};
    cr_assert_eq(bise_model_open(&b->model, "models/demo.bise", &how, NULL), BISE_OK);
    const struct bise_model_info *info = bise_model_info(b->model);
    cr_assert_eq(bise_engine_open(&b->engine, b->model, &params, NULL), BISE_OK);
    cr_assert_eq(bise_sampler_open(&b->sampler, info->vocab_size, &sampling, NULL), BISE_OK);
    cr_assert_eq(bise_grammar_open(&b->grammar, b->model, gbnf, sizeof gbnf - 1, NULL), BISE_OK);
    b->allowed = malloc(info->vocab_size);
    cr_assert(b->allowed && id_list_reserve(&b->ids, 64));
    b->ids.ids[0] = info->bos_id;
    cr_assert_eq(
        bise_tokenize(b->model, prompt, sizeof prompt - 1, b->ids.ids + 1, 60, &b->ids.n, NULL),
        BISE_OK);
    b->ids.n++;
    b->out = (struct text_out){.fd = -1, .hold = &b->text};
    b->calls_out = (struct text_out){.fd = -1, .strip_space = true, .hold = &b->calls_text};
    b->calls = (struct generator_calls){
        .mark = 3000, .allowed = allowed, .grammar = b->grammar, .out = &b->calls_out};
    return (struct generator){.engine = b->engine,
                              .model = b->model,
                              .sampler = b->sampler,
                              .calls = &b->calls,
                              .allowed = b->allowed,
                              .ids = &b->ids,
                              .end_ids = info->eos_ids,
                              .n_end = info->n_eos,
                              .max_tokens = max_tokens,
                              .on_id = note_id,
                              .on_read = note_read,
                              .arg = b,
                              .out = &b->out};
}

static void drive(struct generator *g, size_t most) {
    struct bise_run run;
    cr_assert_eq(generator_begin(g, 0, NULL), BISE_OK);
    while (generator_next(g, most, &run)) {
        const enum bise_status status = bise_step(g->engine, &run, 1, NULL, NULL);
        cr_assert_eq(generator_take(g, &run, status, 0, NULL), BISE_OK);
    }
}

static void end(struct bench *b) {
    bise_grammar_close(&b->grammar);
    bise_sampler_close(&b->sampler);
    bise_engine_close(&b->engine);
    bise_model_close(&b->model);
    buffer_free(&b->text);
    buffer_free(&b->calls_text);
    free(b->ids.ids);
    free(b->allowed);
}

Test(generator, calls_that_must_come) {
    struct bench b;
    struct generator g = begin(&b, CALLS_MUST, 20);
    const size_t n_prompt = b.ids.n;
    drive(&g, 3);
    cr_expect(g.in_calls && g.finish == FINISH_END);
    cr_expect_eq(b.ids.ids[n_prompt], b.calls.mark);
    cr_expect_eq(b.text.len, 0u);
    cr_expect(b.calls_text.len == 5 && b.calls_text.bytes[0] == '[' && b.calls_text.bytes[4] == ']',
              "%.*s", (int)b.calls_text.len, b.calls_text.bytes);
    cr_expect(!b.marked_late);
    end(&b);
}

/* The mark is the likeliest id of all. */
Test(generator, calls_that_must_not_come) {
    for (int may = 0; may < 2; may++) {
        const struct bise_logit_bias bias = {3000, 1000};
        const struct bise_sampler_params sampling = {
            .temp = 1, .top_p = 1, .typical_p = 1, .repeat_penalty = 1, .bias = &bias, .n_bias = 1};
        struct bench b;
        struct generator g = begin(&b, may ? CALLS_MAY : CALLS_NEVER, 12);
        bise_sampler_close(&b.sampler);
        cr_assert_eq(bise_sampler_open(&b.sampler, 4096, &sampling, NULL), BISE_OK);
        g.sampler = b.sampler;
        drive(&g, 64);
        cr_expect_eq(g.in_calls, may == 1);
        cr_expect_eq(b.text.len > 0, may == 0);
        cr_expect(!b.marked_late);
        end(&b);
    }
}

Test(generator, reads_alone_where_nothing_is_to_be_written) {
    struct bench b;
    struct generator g = begin(&b, CALLS_NEVER, 0);
    const size_t n_prompt = b.ids.n;
    g.read_logits = malloc(3 * sizeof(float) * bise_model_info(b.model)->vocab_size);
    cr_assert_not_null(g.read_logits);
    drive(&g, 3);
    cr_expect_eq(g.finish, FINISH_LENGTH);
    cr_expect(b.n_read == n_prompt && g.held == n_prompt && b.ids.n == n_prompt);
    cr_expect_eq(b.n_told, 0u);
    free(g.read_logits);
    end(&b);
}

/* Drafts that come true are run once: each id of the text but the last is in one run. */
Test(generator, drafts_that_are_taken_are_not_run_again) {
    enum { N = 60, ALWAYS = 300 };
    static const struct bise_logit_bias bias = {ALWAYS, 1000};
    const struct bise_sampler_params greedy = {.bias = &bias, .n_bias = 1, .repeat_penalty = 1};
    struct bench b;
    struct generator g = begin(&b, CALLS_NEVER, N);
    struct runtime e = {.info = bise_model_info(b.model), .plan = {.chunk = 32}};
    struct speculation drafts;
    struct bise_run run;
    size_t n_own = 0, n_runs = 0;
    bise_sampler_close(&b.sampler);
    cr_assert_eq(bise_sampler_open(&b.sampler, e.info->vocab_size, &greedy, NULL), BISE_OK);
    cr_assert_eq(speculation_open(&drafts, &e, 8), EXIT_DONE);
    g.sampler = b.sampler;
    g.speculation = &drafts;
    g.calls = NULL;
    cr_assert_eq(generator_begin(&g, 0, NULL), BISE_OK);
    for (; generator_next(&g, 9, &run); n_runs++) {
        const enum bise_status status = bise_step(g.engine, &run, 1, NULL, NULL);
        n_own += g.n_own;
        cr_assert_eq(generator_take(&g, &run, status, 1, NULL), BISE_OK); /* any n takes as long */
    }
    cr_assert_eq(b.n_told, N);
    cr_assert_gt(drafts.n_taken, N / 2);
    cr_assert_eq(n_own + drafts.n_taken, b.ids.n - 1);
    cr_assert_lt(n_runs, N / 2);
    speculation_close(&drafts);
    end(&b);
}
