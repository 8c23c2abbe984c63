/* bise run --json: a completion as one JSON object. */
#include "quant/measure/statistics.h"
#include "tools/cmd/run.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_token(struct buffer *b, const struct bise_model *model, int32_t id,
                      double logprob) {
    size_t n;
    const char *piece = bise_token_piece(model, id, &n);
    buffer_print(b, "{\"id\": %d, \"token\": ", id);
    buffer_json(b, piece ? piece : "", piece ? n : 0);
    buffer_print(b, ", \"logprob\": %.6f", logprob);
}

/* Logarithms of the model's own probabilities, before penalties and temperature. */
static void put_logprobs(struct run_result *r, int32_t id, const float *logits) {
    const struct runtime *e = &r->run->runtime;
    int32_t top[MAX_LOGPROBS];
    const struct softmax all = softmax_of(logits, e->info->vocab_size);
    const size_t n = softmax_likeliest(&all, (size_t)r->run->options.logprobs, top);
    if (r->logprobs.len)
        buffer_text(&r->logprobs, ", ");
    put_token(&r->logprobs, e->model, id, softmax_log(&all, id));
    buffer_text(&r->logprobs, ", \"top\": [");
    for (size_t i = 0; i < n; i++) {
        buffer_text(&r->logprobs, i ? ", " : "");
        put_token(&r->logprobs, e->model, top[i], softmax_log(&all, top[i]));
        buffer_text(&r->logprobs, "}");
    }
    buffer_text(&r->logprobs, "]}");
}

bool run_result_id(void *arg, int32_t id, const float *logits) {
    struct run_result *r = arg;
    buffer_print(&r->ids, r->n_ids ? ", %d" : "%d", id);
    if (r->run->options.logprobs >= 0)
        put_logprobs(r, id, logits);
    r->n_ids++;
    return !r->ids.failed && !r->logprobs.failed;
}

static double rate(size_t n, double seconds) {
    return seconds > 0 ? (double)n / seconds : 0;
}

bool run_result_print(const struct run_result *r, const struct run_job *job, const char *first) {
    struct buffer b = {.len = 0};
    buffer_print(&b, "{%s\"text\": ", first ? first : "");
    buffer_json(&b, r->text.len ? r->text.bytes : "", r->text.len);
    buffer_print(&b, ", \"ids\": [%s], \"finish_reason\": \"%s\", \"seed\": %lld",
                 r->ids.len ? r->ids.bytes : "", finish_name(r->finish), (long long)job->seed);
    buffer_print(&b,
                 ", \"prompt_tokens\": %zu, \"timings\": {\"load_s\": %.3f, \"prompt_s\": %.6f, "
                 "\"prompt_tokens_per_s\": %.2f, \"answer_s\": %.6f, \"answer_tokens_per_s\": "
                 "%.2f}",
                 job->n, r->run->runtime.load_seconds, r->prompt_seconds,
                 rate(job->n, r->prompt_seconds), r->answer_seconds,
                 rate(r->n_decoded, r->answer_seconds));
    if (r->run->options.logprobs >= 0)
        buffer_print(&b, ", \"logprobs\": [%s]", r->logprobs.len ? r->logprobs.bytes : "");
    buffer_text(&b, "}\n");
    const bool whole = !b.failed && !r->text.failed;
    if (!whole)
        complain("no memory for the result");
    const bool good = whole && fflush(stdout) == 0 && write_whole(STDOUT_FILENO, b.bytes, b.len);
    buffer_free(&b);
    return good;
}

void run_result_free(struct run_result *r) {
    buffer_free(&r->text);
    buffer_free(&r->ids);
    buffer_free(&r->logprobs);
}
