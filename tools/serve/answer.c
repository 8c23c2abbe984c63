#include "tools/serve/answer.h"

#include "src/os/clock.h"

#include <stdlib.h>
#include <string.h>

/* Appends to the reply. */
static void send_bytes(struct call *c, const struct buffer *b) {
    struct reply *r = &c->reply;
    pthread_mutex_lock(&r->lock);
    const size_t before = r->out.len;
    buffer_put(&r->out, b->bytes, b->len);
    r->out.failed |= b->failed;
    call_added(r->out.len - before);
    pthread_mutex_unlock(&r->lock);
}

static bool is_chat(const struct call *c) {
    return c->endpoint == ENDPOINT_CHAT;
}

/* {"id": ..., "object": ..., "created": ..., "model": ..., "seed": ..., "choices": [ */
static void put_head(struct buffer *b, const struct call *c, const struct answer_facts *facts,
                     bool chunk) {
    const char *object = !is_chat(c) ? "text_completion"
                         : chunk     ? "chat.completion.chunk"
                                     : "chat.completion";
    buffer_print(b, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", c->id, object,
                 (long long)c->created);
    buffer_json(b, facts->model, strlen(facts->model));
    buffer_print(b, ",\"seed\":%lld,\"choices\":[", (long long)c->choices[0].seed);
}

static void put_usage(struct buffer *b, const struct call *c) {
    size_t n_answer = 0, n_cached = 0;
    for (uint32_t i = 0; i < c->n_choices; i++) {
        n_answer += author_tokens(&c->choices[i].author);
        n_cached = i ? n_cached : c->choices[i].n_cached;
    }
    buffer_print(b,
                 "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":%zu}",
                 c->prompt.n, n_answer, c->prompt.n + n_answer, n_cached);
    if (c->request.full == FULL_DROP)
        buffer_print(b, ",\"dropped_tokens\":%zu", c->prompt.n_dropped);
    buffer_text(b, "}");
}

/* 0 where it has not come to that. */
static double ms_since(double from, double to) {
    return to > from ? 1e3 * (to - from) : 0;
}

static void put_timings(struct buffer *b, const struct call *c) {
    buffer_print(b, ",\"timings\":{\"queue_ms\":%.3f,\"first_token_ms\":%.3f,\"total_ms\":%.3f}",
                 ms_since(c->arrived, c->started), ms_since(c->arrived, c->first),
                 ms_since(c->arrived, c->ended));
}

/* ---- streams ---- */

static void begin_chunk(struct buffer *b, const struct choice *ch,
                        const struct answer_facts *facts) {
    buffer_text(b, "data: ");
    put_head(b, ch->call, facts, true);
    buffer_print(b, "{\"index\":%u,", ch->index);
}

static void end_chunk(struct buffer *b, struct choice *ch, const char *finish) {
    buffer_text(b, ",\"logprobs\":");
    if (ch->author.logprobs.list.len)
        logprobs_take(&ch->author.logprobs, b);
    else
        buffer_text(b, "null");
    buffer_text(b, ",\"finish_reason\":");
    buffer_print(b, finish ? "\"%s\"" : "%s", finish ? finish : "null");
    buffer_print(b, "}]%s}\n\n", ch->call->request.include_usage ? ",\"usage\":null" : "");
}

static void chunk_of_text(struct buffer *b, struct choice *ch, const struct answer_facts *facts,
                          const char *text, size_t n, const char *finish) {
    begin_chunk(b, ch, facts);
    if (!is_chat(ch->call)) {
        buffer_text(b, "\"text\":");
        buffer_json(b, text, n);
    } else if (n) {
        buffer_text(b, "\"delta\":{\"content\":");
        buffer_json(b, text, n);
        buffer_text(b, "}");
    } else {
        buffer_text(b, "\"delta\":{}");
    }
    end_chunk(b, ch, finish);
}

/* The role, which comes first. */
static void announce(struct buffer *b, struct choice *ch, const struct answer_facts *facts) {
    if (ch->announced || !is_chat(ch->call))
        return;
    ch->announced = true;
    begin_chunk(b, ch, facts);
    buffer_text(b, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                   "\"finish_reason\":null}]");
    buffer_text(b, ch->call->request.include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void put_call_head(struct buffer *b, const struct choice *ch, const struct call_read *read,
                          bool with_index) {
    char id[CALLS_ID_LENGTH + 1];
    calls_id(ch->call->prompt.ids, ch->call->prompt.n, ch->seed, ch->n_calls, id);
    buffer_text(b, "{");
    if (with_index)
        buffer_print(b, "\"index\":%zu,", ch->n_calls);
    buffer_print(b, "\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", id);
    buffer_json(b, read->name->string, read->name->len);
    buffer_text(b, ",\"arguments\":");
}

static void chunk_of_call(struct buffer *b, struct choice *ch, const struct answer_facts *facts,
                          const struct call_read *read) {
    begin_chunk(b, ch, facts);
    buffer_text(b, "\"delta\":{\"tool_calls\":[");
    put_call_head(b, ch, read, true);
    buffer_text(b, "\"\"}}]}");
    end_chunk(b, ch, NULL);
    begin_chunk(b, ch, facts);
    buffer_print(
        b, "\"delta\":{\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":", ch->n_calls);
    buffer_json(b, read->arguments.text, read->arguments.len);
    buffer_text(b, "}}]}");
    end_chunk(b, ch, NULL);
}

/* All of them at once: those of a stream that was held back. */
static void chunk_of_calls(struct buffer *b, struct choice *ch, const struct answer_facts *facts) {
    begin_chunk(b, ch, facts);
    buffer_text(b, "\"delta\":{\"tool_calls\":[");
    buffer_put(b, ch->calls.bytes, ch->calls.len);
    buffer_text(b, "]}");
    end_chunk(b, ch, NULL);
}

/* The call as the client will send it back. */
static void put_history(struct choice *ch, const struct call_read *read) {
    const struct json_value *arguments = json_get(json_root(read->json), "arguments");
    char text[CALLS_ID_LENGTH + 1];
    const struct json_value id = {.kind = JSON_STRING, .string = text, .len = CALLS_ID_LENGTH};
    calls_id(ch->call->prompt.ids, ch->call->prompt.n, ch->seed, ch->n_calls, text);
    tool_text_call(&ch->history, read->name, arguments, &id, NULL);
}

static void advance_calls(struct buffer *b, struct choice *ch, const struct answer_facts *facts,
                          bool streamed) {
    struct call_read read;
    while (calls_next(&ch->author.calls, &read)) {
        if (streamed) {
            chunk_of_call(b, ch, facts, &read);
        } else {
            buffer_text(&ch->calls, ch->n_calls ? "," : "");
            put_call_head(&ch->calls, ch, &read, ch->call->request.stream);
            buffer_json(&ch->calls, read.arguments.text, read.arguments.len);
            buffer_text(&ch->calls, "}}");
        }
        put_history(ch, &read);
        ch->n_calls++;
        free(read.arguments.text);
        json_close(&read.json);
    }
}

void answer_begin(struct call *c) {
    struct reply *r = &c->reply;
    pthread_mutex_lock(&r->lock);
    if (c->request.stream) {
        r->status = 200;
        r->is_stream = true;
    }
    pthread_mutex_unlock(&r->lock);
}

void answer_echo(struct choice *ch) {
    struct author *g = &ch->author;
    const struct prompt *p = &ch->call->prompt;
    bool first = true;
    for (size_t i = 0; i < p->n; i++) {
        size_t n;
        const char *piece = bise_token_piece(g->by->model, p->ids[i], &n);
        const bool prefix = first && n && !ch->call->request.ids && piece[0] == ' ';
        if (piece)
            buffer_put(&g->text, piece + prefix, n - prefix);
        g->logprobs.n_hidden |= prefix;
        first &= !n;
    }
}

void answer_withhold(struct choice *ch) {
    buffer_clear(&ch->text);
    buffer_clear(&ch->calls);
    buffer_clear(&ch->author.text);
    logprobs_free(&ch->author.logprobs);
    ch->n_calls = 0;
}

void answer_advance(struct choice *ch, const struct answer_facts *facts) {
    struct author *g = &ch->author;
    struct buffer b = {.len = 0};
    const bool streamed = ch->call->request.stream && !facts->hold_back;
    if (streamed)
        announce(&b, ch, facts);
    if (g->generator.in_calls) {
        calls_put(&g->calls, g->text.bytes, g->text.len);
        buffer_clear(&g->text);
        advance_calls(&b, ch, facts, streamed);
    } else if (g->text.len) {
        if (streamed)
            chunk_of_text(&b, ch, facts, g->text.bytes, g->text.len, NULL);
        /* Kept for what the next prompt begins with, and for answers in one piece. */
        buffer_put(&ch->text, g->text.bytes, g->text.len);
        buffer_clear(&g->text);
    }
    if (b.len || b.failed)
        send_bytes(ch->call, &b);
    buffer_free(&b);
}

void answer_end_choice(struct choice *ch, const struct answer_facts *facts) {
    struct buffer b = {.len = 0};
    answer_advance(ch, facts);
    ch->has_ended = true;
    ch->call->n_ended++;
    if (!ch->call->request.stream)
        return;
    if (facts->hold_back) { /* all at once, now that it may be shown */
        announce(&b, ch, facts);
        if (ch->text.len)
            chunk_of_text(&b, ch, facts, ch->text.bytes, ch->text.len, NULL);
        if (ch->calls.len)
            chunk_of_calls(&b, ch, facts);
    }
    chunk_of_text(&b, ch, facts, "", 0, ending_name(ch->author.ending));
    send_bytes(ch->call, &b);
    buffer_free(&b);
}

/* ---- whole answers ---- */

static void put_choice(struct buffer *b, struct choice *ch) {
    const char *text = ch->text.len ? ch->text.bytes : "";
    buffer_print(b, "%s{\"index\":%u,", ch->index ? "," : "", ch->index);
    if (!is_chat(ch->call)) {
        buffer_text(b, "\"text\":");
        buffer_json(b, text, ch->text.len);
    } else if (ch->calls.len) {
        buffer_text(b, "\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[");
        buffer_put(b, ch->calls.bytes, ch->calls.len);
        buffer_text(b, "],\"refusal\":null}");
    } else {
        buffer_text(b, "\"message\":{\"role\":\"assistant\",\"content\":");
        buffer_json(b, text, ch->text.len);
        buffer_text(b, ",\"refusal\":null}");
    }
    buffer_text(b, ",\"logprobs\":");
    if (ch->call->request.logprobs)
        logprobs_take(&ch->author.logprobs, b);
    else
        buffer_text(b, "null");
    buffer_print(b, ",\"finish_reason\":\"%s\"}", ending_name(ch->author.ending));
}

static void end_reply(struct call *c, const struct buffer *b, int status) {
    struct reply *r = &c->reply;
    send_bytes(c, b);
    pthread_mutex_lock(&r->lock);
    r->status = status;
    r->has_ended = true;
    pthread_mutex_unlock(&r->lock);
}

void answer_finish(struct call *c, const struct answer_facts *facts) {
    struct buffer b = {.len = 0};
    c->ended = seconds_now();
    if (c->request.stream) {
        if (c->request.include_usage) {
            buffer_text(&b, "data: ");
            put_head(&b, c, facts, true);
            buffer_text(&b, "],");
            put_usage(&b, c);
            put_timings(&b, c);
            buffer_text(&b, "}\n\n");
        }
        buffer_text(&b, "data: [DONE]\n\n");
    } else {
        put_head(&b, c, facts, false);
        for (uint32_t i = 0; i < c->n_choices; i++)
            put_choice(&b, &c->choices[i]);
        buffer_text(&b, "],");
        put_usage(&b, c);
        put_timings(&b, c);
        buffer_text(&b, "}");
    }
    end_reply(c, &b, 200);
    buffer_free(&b);
}

void answer_object(struct call *c, const struct buffer *json) {
    c->ended = seconds_now();
    end_reply(c, json, 200);
}
