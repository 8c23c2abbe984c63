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
    *a = (struct author){.by = by,
                         .request = r,
                         .max_tokens = r->max_tokens,
                         .strip_space = r->endpoint == ENDPOINT_CHAT && !r->goes_on,
                         .logprobs.of_completions = r->endpoint == ENDPOINT_COMPLETIONS};
    for (size_t i = 0; i < r->n_stops; i++)
        stop_add(&a->stop, r->stops[i]);
    if (r->endpoint == ENDPOINT_CHAT && by->end_text[0])
        stop_add(&a->stop, by->end_text);
    return take_text_grammar(a, grammars, f) &&
           (r->tool_choice == TOOLS_NONE || take_calls_grammar(a, grammars, f));
}

void author_rest(struct author *a) {
    bise_sampler_close(&a->sampler);
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

/* ---- picking ---- */

enum bise_status author_begin(struct author *a, uint64_t seed, struct bise_error *err) {
    struct bise_sampler_params params = a->request->sampling;
    params.seed = seed;
    stop_begin(&a->stop);
    if (a->grammar.grammar)
        bise_grammar_begin(a->grammar.grammar, a->strip_space);
    return bise_sampler_open(&a->sampler, a->by->info->vocab_size, &params, err);
}

static void allow_ends(const struct author *a, uint8_t *allowed) {
    for (size_t i = 0; i < a->by->n_end; i++)
        allowed[a->by->end_ids[i]] = 1;
}

/* What may come: of calls or of the text their grammar's, and at the beginning the mark of calls
 * where there may or must be some. */
static enum bise_status find_allowed(const struct author *a, uint8_t *allowed,
                                     struct bise_error *err) {
    struct bise_grammar *grammar = a->in_calls ? a->calls_grammar.grammar : a->grammar.grammar;
    const int32_t mark = a->by->format == CHAT_V3 ? a->by->tools.calls : -1;
    const enum tool_choice choice = a->request->tool_choice;
    const uint32_t vocab = a->by->info->vocab_size;
    enum bise_status status = BISE_OK;
    if (choice >= TOOLS_REQUIRED && !a->has_begun) {
        memset(allowed, 0, vocab);
    } else if (grammar) {
        status = bise_grammar_allowed(grammar, allowed, err);
        if (!status && bise_grammar_may_end(grammar))
            allow_ends(a, allowed);
    } else {
        memset(allowed, 1, vocab);
    }
    if (mark >= 0)
        allowed[mark] = choice != TOOLS_NONE && !a->has_begun;
    return status;
}

enum bise_status author_pick(struct author *a, const float *logits, const int32_t *ids, size_t n,
                             uint8_t *allowed, int32_t *id, struct bise_error *err) {
    const enum bise_status status = find_allowed(a, allowed, err);
    if (status)
        return status;
    *id = bise_sample(a->sampler, logits, allowed, ids, n, n);
    if (a->request->logprobs && !a->in_calls && *id != a->by->tools.calls &&
        !prompter_is_end(a->by, *id))
        logprobs_put(&a->logprobs, a->by->model, logits, *id, a->request->top_logprobs);
    struct bise_grammar *grammar = a->in_calls ? a->calls_grammar.grammar : a->grammar.grammar;
    if (!grammar || prompter_is_end(a->by, *id) ||
        (a->by->format == CHAT_V3 && *id == a->by->tools.calls))
        return BISE_OK;
    return bise_grammar_accept(grammar, *id, err);
}

/* ---- text ---- */

#define PORTION 512

static void put_text(struct author *a, const char *bytes, size_t n) {
    char out[UTF8_STREAM_ROOM(PORTION + STOP_MAX_BYTES)];
    buffer_put(&a->text, out, utf8_stream_put(&a->utf8, bytes, n, out));
}

static void put_piece(struct author *a, const char *bytes, size_t n) {
    char shown[PORTION + STOP_MAX_BYTES];
    if (a->strip_space && n && bytes[0] == ' ') {
        bytes++;
        n--;
    }
    a->strip_space &= !n;
    for (size_t at = 0; at < n; at += PORTION) {
        const size_t some = n - at < PORTION ? n - at : PORTION;
        if (a->stop.n)
            put_text(a, shown, stop_put(&a->stop, bytes + at, some, shown));
        else
            put_text(a, bytes + at, some);
    }
}

void author_end(struct author *a, enum ending ending) {
    char held[STOP_MAX_BYTES], out[UTF8_STREAM_ROOM(STOP_MAX_BYTES)];
    a->ending = ending;
    if (a->in_calls)
        return;
    put_text(a, held, stop_end(&a->stop, held));
    buffer_put(&a->text, out, utf8_stream_end(&a->utf8, out));
}

bool author_take(struct author *a, int32_t id) {
    size_t n;
    const bool begins = !a->has_begun;
    a->has_begun = true;
    if (prompter_is_end(a->by, id)) {
        author_end(a, a->in_calls ? ENDING_CALLS : ENDING_STOP);
        return !a->text.failed;
    }
    a->n_tokens++;
    const char *piece = bise_token_piece(a->by->model, id, &n);
    if (begins && a->by->format == CHAT_V3 && id == a->by->tools.calls) {
        a->in_calls = true;
        bise_grammar_begin(a->calls_grammar.grammar, true);
    } else if (a->in_calls) {
        calls_put(&a->calls, piece ? piece : "", piece ? n : 0);
    } else if (piece) {
        put_piece(a, piece, n);
    }
    if (a->stop.hit)
        author_end(a, ENDING_STOP);
    else if (a->max_tokens >= 0 && (int64_t)a->n_tokens >= a->max_tokens)
        author_end(a, ENDING_LENGTH);
    return !a->text.failed && !a->calls.text.failed && !a->logprobs.list.failed;
}
