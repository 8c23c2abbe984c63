#include "tools/common/speculate.h"

#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KEEP 8192

int speculation_open(struct speculation *s, struct runtime *e, size_t max) {
    const struct bise_plan *plan = bise_session_plan(e->session);
    *s = (struct speculation){.runtime = e, .max = max};
    lookup_begin(&s->lookup);
    if (s->max >= plan->chunk)
        s->max = plan->chunk - 1;
    if (!s->max)
        return EXIT_DONE;
    s->keep = plan->n_ctx < MAX_KEEP ? plan->n_ctx : MAX_KEEP;
    s->history = malloc(2 * s->keep * sizeof *s->history);
    s->logits = malloc((s->max + 1) * (size_t)e->info->vocab_size * sizeof *s->logits);
    if (s->history && s->logits)
        return EXIT_DONE;
    say("bise: --lookup: no memory\n");
    return EXIT_MEMORY;
}

void speculation_close(struct speculation *s) {
    free(s->history);
    free(s->logits);
    s->history = NULL;
    s->logits = NULL;
    s->max = 0;
}

void speculation_begin(struct speculation *s) {
    s->n_call = s->at = s->n_guess = 0;
    if (s->max)
        s->n_history = bise_last_ids(s->runtime->session, s->history, s->keep);
}

const float *speculation_logits(const struct speculation *s) {
    if (s->n_call > 1)
        return s->logits + s->at * (size_t)s->runtime->info->vocab_size;
    return bise_logits(s->runtime->session);
}

static void remember(struct speculation *s, int32_t id) {
    if (s->n_history == 2 * s->keep) {
        memcpy(s->history, s->history + s->keep, s->keep * sizeof *s->history);
        s->n_history = s->keep;
    }
    s->history[s->n_history++] = id;
}

/* Judges what was expected by what came. */
static void judge(struct speculation *s, int32_t id) {
    if (s->n_followed == s->n_guess)
        return;
    const bool hit = s->guess[s->n_followed] == id;
    lookup_learn(&s->lookup, s->match + s->n_followed, hit);
    if (hit)
        s->n_followed++;
    else
        s->n_guess = s->n_followed = 0;
}

/* The session goes back to the last id whose logits were taken. */
static enum bise_status drop_rest(struct speculation *s, struct bise_error *err) {
    const size_t ahead = s->n_call ? s->n_call - 1 - s->at : 0;
    struct bise_session *session = s->runtime->session;
    s->n_call = s->at = 0;
    return ahead ? bise_truncate(session, bise_position(session) - ahead, err) : BISE_OK;
}

static enum bise_status run_call(struct speculation *s, size_t n, struct bise_error *err) {
    struct runtime *e = s->runtime;
    const double start = seconds_now();
    const enum bise_status status =
        n > 1 ? bise_prefill_logits(e->session, s->call, n, s->logits, err)
              : bise_decode(e->session, s->call[0], err);
    const double seconds = seconds_now() - start;
    e->answer_seconds += seconds;
    if (status)
        return status;
    lookup_timed(&s->lookup, n, seconds);
    s->n_call = n;
    s->n_calls++;
    s->n_drafted += n - 1;
    return BISE_OK;
}

enum bise_status speculation_step(struct speculation *s, int32_t id, struct bise_error *err) {
    if (!s->max)
        return runtime_decode(s->runtime, id, err);
    judge(s, id);
    remember(s, id);
    if (s->at + 1 < s->n_call && s->call[s->at + 1] == id) { /* run already */
        s->at++;
        s->n_taken++;
        s->runtime->n_answer++;
        return BISE_OK;
    }
    enum bise_status status = drop_rest(s, err);
    if (status)
        return status;
    s->n_guess = lookup_find(s->history, s->n_history, s->guess, s->max, &s->match);
    s->n_followed = 0;
    const size_t n_draft = lookup_choose(&s->lookup, s->match, s->n_guess);
    s->call[0] = id;
    memcpy(s->call + 1, s->guess, n_draft * sizeof *s->guess);
    status = run_call(s, 1 + n_draft, err);
    /* A draft may reach beyond the context, or be nonsense to the model. */
    if (n_draft && (status == BISE_ERR_CONTEXT || status == BISE_ERR_NONFINITE))
        status = run_call(s, 1, err);
    s->runtime->n_answer += status == BISE_OK;
    return status;
}

void speculation_end(struct speculation *s) {
    if (s->max)
        (void)drop_rest(s, NULL); /* within what the ring always holds */
}

void speculation_print(const struct speculation *s, FILE *to) {
    if (s->n_drafted)
        print_to(to, "lookup: %zu of %zu drafted tokens taken, %.2f tokens a call\n", s->n_taken,
                 s->n_drafted, (double)(s->n_taken + s->n_calls) / (double)s->n_calls);
}
