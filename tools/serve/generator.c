#include "tools/serve/generator.h"

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

static bool take_calls_grammar(struct generator *g, struct grammars *grammars, struct fault *f) {
    struct tool_text schema = {.len = 0};
    const bool good = calls_schema(g->request, &schema);
    bool taken = good || fault_set(f, 503, NULL, NULL, "no memory for the tools' schema");
    if (good && schema.len > REQUEST_MAX_SOURCE)
        taken = fault_set(f, 400, "tools", NULL,
                          "tools: expected at most 64 KB of schemas, found %zu bytes", schema.len);
    if (taken)
        taken =
            take_grammar(grammars, schema.text, schema.len, true, "tools", &g->calls_grammar, f);
    free(schema.text);
    return taken;
}

static bool take_text_grammar(struct generator *g, struct grammars *grammars, struct fault *f) {
    static const char any_object[] = "{\"type\": \"object\", \"additionalProperties\": true}";
    const struct request *r = g->request;
    struct tool_text schema = {.len = 0};
    if (r->format == REPLY_TEXT)
        return true;
    if (r->format == REPLY_GRAMMAR)
        return take_grammar(grammars, r->grammar->string, r->grammar->len, false, "grammar",
                            &g->grammar, f);
    if (r->format == REPLY_OBJECT)
        return take_grammar(grammars, any_object, sizeof any_object - 1, true, "response_format",
                            &g->grammar, f);
    tool_text_json(&schema, r->schema);
    bool good = !schema.failed || fault_set(f, 503, NULL, NULL, "no memory for the schema");
    if (good && schema.len > REQUEST_MAX_SOURCE)
        good = fault_set(f, 400, "response_format", NULL,
                         "response_format: expected a schema of at most 64 KB");
    if (good)
        good = take_grammar(grammars, schema.text, schema.len, true, "response_format", &g->grammar,
                            f);
    free(schema.text);
    return good;
}

bool generator_open(struct generator *g, const struct prompter *by, struct grammars *grammars,
                    const struct request *r, uint64_t seed, struct fault *f) {
    struct bise_sampler_params params = r->sampling;
    struct bise_error err = {0};
    *g = (struct generator){.by = by,
                            .request = r,
                            .max_tokens = r->max_tokens,
                            .strip_space = r->endpoint == ENDPOINT_CHAT && !r->goes_on,
                            .logprobs.of_completions = r->endpoint == ENDPOINT_COMPLETIONS};
    params.seed = seed;
    for (size_t i = 0; i < r->n_stops; i++)
        stop_add(&g->stop, r->stops[i]);
    if (r->endpoint == ENDPOINT_CHAT && by->end_text[0])
        stop_add(&g->stop, by->end_text);
    const enum bise_status status =
        bise_sampler_open(&g->sampler, by->info->vocab_size, &params, &err);
    if (status)
        return fault_of_status(f, NULL, status, &err);
    return take_text_grammar(g, grammars, f) &&
           (r->tool_choice == TOOLS_NONE || take_calls_grammar(g, grammars, f));
}

void generator_close(struct generator *g, struct grammars *grammars) {
    bise_sampler_close(&g->sampler);
    grammars_give(grammars, &g->grammar);
    grammars_give(grammars, &g->calls_grammar);
    free(g->calls.text.text);
    g->calls.text = (struct tool_text){.len = 0};
    logprobs_free(&g->logprobs);
    buffer_free(&g->text);
}

/* ---- picking ---- */

void generator_begin(struct generator *g, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        bise_sampler_accept(g->sampler, ids[i]);
    stop_begin(&g->stop);
    if (g->grammar.grammar)
        bise_grammar_begin(g->grammar.grammar, g->strip_space);
}

static void allow_ends(const struct generator *g, uint8_t *allowed) {
    for (size_t i = 0; i < g->by->n_end; i++)
        allowed[g->by->end_ids[i]] = 1;
}

/* What may come: of calls or of the text their grammar's, and at the beginning the mark of calls
 * where there may or must be some. */
static enum bise_status find_allowed(const struct generator *g, uint8_t *allowed,
                                     struct bise_error *err) {
    struct bise_grammar *grammar = g->in_calls ? g->calls_grammar.grammar : g->grammar.grammar;
    const int32_t mark = g->by->format == CHAT_V3 ? g->by->tools.calls : -1;
    const enum tool_choice choice = g->request->tool_choice;
    const uint32_t vocab = g->by->info->vocab_size;
    enum bise_status status = BISE_OK;
    if (choice >= TOOLS_REQUIRED && !g->has_begun) {
        memset(allowed, 0, vocab);
    } else if (grammar) {
        status = bise_grammar_allowed(grammar, allowed, err);
        if (!status && bise_grammar_may_end(grammar))
            allow_ends(g, allowed);
    } else {
        memset(allowed, 1, vocab);
    }
    if (mark >= 0)
        allowed[mark] = choice != TOOLS_NONE && !g->has_begun;
    return status;
}

enum bise_status generator_pick(struct generator *g, const float *logits, const int32_t *ids,
                                size_t n, uint8_t *allowed, int32_t *id, struct bise_error *err) {
    const enum bise_status status = find_allowed(g, allowed, err);
    (void)ids;
    (void)n;
    if (status)
        return status;
    *id = bise_sample_allowed(g->sampler, logits, allowed);
    if (g->request->logprobs && !g->in_calls && *id != g->by->tools.calls &&
        !prompter_is_end(g->by, *id))
        logprobs_put(&g->logprobs, g->by->model, logits, *id, g->request->top_logprobs);
    struct bise_grammar *grammar = g->in_calls ? g->calls_grammar.grammar : g->grammar.grammar;
    if (!grammar || prompter_is_end(g->by, *id) ||
        (g->by->format == CHAT_V3 && *id == g->by->tools.calls))
        return BISE_OK;
    return bise_grammar_accept(grammar, *id, err);
}

/* ---- text ---- */

#define PORTION 512

static void put_text(struct generator *g, const char *bytes, size_t n) {
    char out[UTF8_STREAM_ROOM(PORTION + STOP_MAX_BYTES)];
    buffer_put(&g->text, out, utf8_stream_put(&g->utf8, bytes, n, out));
}

static void put_piece(struct generator *g, const char *bytes, size_t n) {
    char shown[PORTION + STOP_MAX_BYTES];
    if (g->strip_space && n && bytes[0] == ' ') {
        bytes++;
        n--;
    }
    g->strip_space &= !n;
    for (size_t at = 0; at < n; at += PORTION) {
        const size_t some = n - at < PORTION ? n - at : PORTION;
        if (g->stop.n)
            put_text(g, shown, stop_put(&g->stop, bytes + at, some, shown));
        else
            put_text(g, bytes + at, some);
    }
}

void generator_end(struct generator *g, enum ending ending) {
    char held[STOP_MAX_BYTES], out[UTF8_STREAM_ROOM(STOP_MAX_BYTES)];
    g->ending = ending;
    if (g->in_calls)
        return;
    put_text(g, held, stop_end(&g->stop, held));
    buffer_put(&g->text, out, utf8_stream_end(&g->utf8, out));
}

bool generator_take(struct generator *g, int32_t id) {
    size_t n;
    const bool begins = !g->has_begun;
    g->has_begun = true;
    if (prompter_is_end(g->by, id)) {
        generator_end(g, g->in_calls ? ENDING_CALLS : ENDING_STOP);
        return !g->text.failed;
    }
    g->n_tokens++;
    const char *piece = bise_token_piece(g->by->model, id, &n);
    if (begins && g->by->format == CHAT_V3 && id == g->by->tools.calls) {
        g->in_calls = true;
        bise_grammar_begin(g->calls_grammar.grammar, true);
    } else if (g->in_calls) {
        calls_put(&g->calls, piece ? piece : "", piece ? n : 0);
    } else if (piece) {
        put_piece(g, piece, n);
    }
    if (g->stop.hit)
        generator_end(g, ENDING_STOP);
    else if (g->max_tokens >= 0 && (int64_t)g->n_tokens >= g->max_tokens)
        generator_end(g, ENDING_LENGTH);
    return !g->text.failed && !g->calls.text.failed && !g->logprobs.list.failed;
}
