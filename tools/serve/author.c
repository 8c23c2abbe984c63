#include "tools/serve/author.h"

#include <stdlib.h>
#include <string.h>

const char *ending_name(enum ending e) {
    static const char *const names[] = {NULL, "stop", "length", "tool_calls", "content_filter"};
    return names[e];
}

/* ---- opening ---- */

static bool take_grammar(struct grammars *grammars, const char *text, size_t len, bool is_schema,
                         const char *param, struct grammar_loan *loan, struct fault *f) {
    struct bise_error err = {0};
    const enum bise_status status = grammars_take(grammars, text, len, is_schema, loan, &err);
    return !status || fault_of_status(f, param, status, &err);
}

static bool take_calls_grammar(struct author *a, struct grammars *grammars, struct fault *f) {
    struct tool_text schema = {.len = 0};
    const bool good = calls_schema(a->request, &schema);
    bool taken = good || fault_set(f, 503, NULL, NULL, "no memory for the tools' schema");
    if (good && schema.len > REQUEST_MAX_SOURCE)
        taken = fault_set(f, 400, "tools", NULL,
                          "tools: expected at most 64 KB of schemas, found %zu bytes", schema.len);
    if (taken)
        taken =
            take_grammar(grammars, schema.text, schema.len, true, "tools", &a->calls_grammar, f);
    free(schema.text);
    return taken;
}

static bool take_text_grammar(struct author *a, struct grammars *grammars, struct fault *f) {
    static const char any_object[] = "{\"type\": \"object\", \"additionalProperties\": true}";
    const struct request *r = a->request;
    struct tool_text schema = {.len = 0};
    if (r->format == REPLY_TEXT)
        return true;
    if (r->format == REPLY_GRAMMAR)
        return take_grammar(grammars, r->grammar->string, r->grammar->len, false, "grammar",
                            &a->grammar, f);
    if (r->format == REPLY_OBJECT)
        return take_grammar(grammars, any_object, sizeof any_object - 1, true, "response_format",
                            &a->grammar, f);
    tool_text_json(&schema, r->schema);
    bool good = !schema.failed || fault_set(f, 503, NULL, NULL, "no memory for the schema");
    if (good && schema.len > REQUEST_MAX_SOURCE)
        good = fault_set(f, 400, "response_format", NULL,
                         "response_format: expected a schema of at most 64 KB");
    if (good)
        good = take_grammar(grammars, schema.text, schema.len, true, "response_format", &a->grammar,
                            f);
    free(schema.text);
    return good;
}

bool author_open(struct author *a, const struct prompter *by, struct grammars *grammars,
                 const struct request *r, struct fault *f) {
    *a = (struct author){
        .by = by, .request = r, .logprobs.of_completions = r->endpoint == ENDPOINT_COMPLETIONS};
    for (size_t i = 0; i < r->n_stops; i++)
        stop_add(&a->stop, r->stops[i]);
    if (r->endpoint == ENDPOINT_CHAT && by->end_text[0])
        stop_add(&a->stop, by->end_text);
    return take_text_grammar(a, grammars, f) &&
           (r->tool_choice == TOOLS_NONE || take_calls_grammar(a, grammars, f));
}

void author_rest(struct author *a) {
    bise_sampler_close(&a->generator.sampler);
}

void author_close(struct author *a, struct grammars *grammars) {
    author_rest(a);
    grammars_give(grammars, &a->grammar);
    grammars_give(grammars, &a->calls_grammar);
    free(a->calls.text.text);
    a->calls.text = (struct tool_text){.len = 0};
    logprobs_free(&a->logprobs);
    buffer_free(&a->text);
}

/* ---- writing ---- */

static bool note_id(void *arg, int32_t id, const float *logits) {
    struct author *const a = arg;
    if (a->request->logprobs && !a->generator.in_calls && id != a->by->tools.calls &&
        !prompter_is_end(a->by, id))
        logprobs_put(&a->logprobs, a->by->model, logits, id, a->request->top_logprobs);
    return !a->logprobs.list.failed;
}

/* Logprobs of the prompt's tokens: position i foretells id i + 1. */
static void note_read(void *arg, const struct bise_run *run) {
    struct author *const a = arg;
    const struct id_list *const ids = a->generator.ids;
    const size_t vocab = a->by->info->vocab_size, first = a->generator.held - run->n;
    if (!first && ids->ids[0] != a->by->info->bos_id)
        logprobs_put(&a->logprobs, a->by->model, NULL, ids->ids[0], 0);
    for (size_t i = 0; i < run->n && first + i + 1 < ids->n; i++)
        logprobs_put(&a->logprobs, a->by->model, run->logits + i * vocab, ids->ids[first + i + 1],
                     a->request->top_logprobs);
}

/* As many tokens as the request allows and a conversation has room for. */
static int64_t most_tokens(const struct author *a, size_t n_prompt) {
    const int64_t asked = a->request->max_tokens;
    if (a->request->full == FULL_SINK || a->by->limit == SIZE_MAX)
        return asked;
    const int64_t room = (int64_t)(a->by->limit - n_prompt);
    return asked < 0 || asked > room ? room : asked;
}

enum bise_status author_begin(struct author *a, const struct author_place *at, uint64_t seed,
                              struct bise_error *err) {
    static const enum calls_allowed allowed[] = {[TOOLS_NONE] = CALLS_NEVER,
                                                 [TOOLS_AUTO] = CALLS_MAY,
                                                 [TOOLS_REQUIRED] = CALLS_MUST,
                                                 [TOOLS_NAMED] = CALLS_MUST};
    const struct request *const r = a->request;
    const bool has_mark = a->by->format == CHAT_V3 && a->by->tools.calls >= 0;
    struct bise_sampler_params params = r->sampling;
    struct bise_sampler *sampler = NULL;
    params.seed = seed;
    const enum bise_status status =
        bise_sampler_open(&sampler, a->by->info->vocab_size, &params, err);
    if (status)
        return status;
    a->out = (struct text_out){.fd = -1,
                               .strip_space = r->endpoint == ENDPOINT_CHAT && !r->goes_on,
                               .stop = &a->stop,
                               .hold = &a->text};
    a->calls_out = (struct text_out){.fd = -1, .strip_space = true, .hold = &a->text};
    a->marked = (struct generator_calls){.mark = a->by->tools.calls,
                                         .allowed = allowed[r->tool_choice],
                                         .grammar = a->calls_grammar.grammar,
                                         .out = &a->calls_out};
    a->generator = (struct generator){.engine = at->engine,
                                      .seq = at->seq,
                                      .model = a->by->model,
                                      .sampler = sampler,
                                      .grammar = a->grammar.grammar,
                                      .calls = has_mark ? &a->marked : NULL,
                                      .allowed = at->allowed,
                                      .ids = at->ids,
                                      .end_ids = a->by->end_ids,
                                      .n_end = a->by->n_end,
                                      .max_tokens = most_tokens(a, at->ids->n),
                                      .on_id = note_id,
                                      .on_read = note_read,
                                      .read_logits = at->read_logits,
                                      .arg = a,
                                      .out = &a->out};
    return generator_begin(&a->generator, at->held, err);
}

size_t author_tokens(const struct author *a) {
    return (size_t)a->generator.n_picked - (a->generator.finish == FINISH_END);
}

enum ending author_ending(const struct author *a) {
    const struct generator *const g = &a->generator;
    if (g->finish == FINISH_END)
        return g->in_calls ? ENDING_CALLS : ENDING_STOP;
    return g->finish == FINISH_STOP ? ENDING_STOP : ENDING_LENGTH;
}

bool author_failed(const struct author *a) {
    return a->text.failed || a->calls.text.failed || a->logprobs.list.failed;
}
