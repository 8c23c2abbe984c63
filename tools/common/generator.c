#include "tools/common/generator.h"

#include "src/base/error.h"

#include <stdio.h>
#include <string.h>

const char *finish_name(enum finish finish) {
    static const char *const names[] = {
        [FINISH_NONE] = "none",
        [FINISH_END] = "end",
        [FINISH_STOP] = "stop",
        [FINISH_LENGTH] = "length",
        [FINISH_CONTEXT] = "context",
        [FINISH_OUTPUT] = "output",
        [FINISH_INTERRUPTED] = "interrupted",
        [FINISH_ERROR] = "error",
    };
    return names[finish];
}

/* ---- picking -------------------------------------------------------------------------------- */

static bool is_end(const struct generator *g, int32_t id) {
    for (size_t i = 0; i < g->n_end; i++)
        if (g->end_ids[i] == id)
            return true;
    return false;
}

static struct bise_grammar *grammar_of(const struct generator *g) {
    return g->in_calls ? g->calls->grammar : g->grammar;
}

/* What may come next, in g->allowed: of the calls or of the text what its grammar allows, and at
 * the beginning the mark of calls. */
static enum bise_status find_allowed(struct generator *g, struct bise_error *err) {
    struct bise_grammar *const grammar = grammar_of(g);
    const uint32_t vocab = bise_model_info(g->model)->vocab_size;
    const bool begins = g->n_picked == 0;
    enum bise_status status = BISE_OK;
    if (g->calls && g->calls->allowed == CALLS_MUST && begins) {
        memset(g->allowed, 0, vocab);
    } else if (grammar) {
        status = bise_grammar_allowed(grammar, g->allowed, err);
        for (size_t i = 0; i < g->n_end && !status && bise_grammar_may_end(grammar); i++)
            g->allowed[g->end_ids[i]] = 1;
    } else {
        memset(g->allowed, 1, vocab);
    }
    if (g->calls)
        g->allowed[g->calls->mark] = begins && g->calls->allowed != CALLS_NEVER;
    return status;
}

/* The next id, in *id. */
static enum bise_status pick(struct generator *g, const float *logits, int32_t *id,
                             struct bise_error *err) {
    const struct id_list *const ids = g->ids;
    const bool restricted = g->grammar || g->calls;
    const enum bise_status status = restricted ? find_allowed(g, err) : BISE_OK;
    if (status)
        return status;
    *id = bise_sample(g->sampler, logits, restricted ? g->allowed : NULL, ids->ids, ids->n,
                      g->base + ids->n);
    if (!grammar_of(g) || is_end(g, *id) || (g->calls && *id == g->calls->mark))
        return BISE_OK;
    return bise_grammar_accept(grammar_of(g), *id, err);
}

static void begin_calls(struct generator *g) {
    g->in_calls = true;
    g->out = g->calls->out;
    text_out_begin(g->out);
    bise_grammar_begin(g->calls->grammar, g->out->strip_space);
}

static void put_text(struct generator *g, int32_t id) {
    size_t n = 0;
    const char *const piece = bise_token_piece(g->model, id, &n);
    if (g->print_ids) {
        char text[16];
        const int len = snprintf(text, sizeof text, g->n_picked > 1 ? " %d" : "%d", id);
        text_out_put(g->out, text, (size_t)len);
    } else if (piece) {
        text_out_put(g->out, piece, n);
    }
}

/* Picks an id from logits and does what follows from it; finish says whether it was the last. */
static enum bise_status write_id(struct generator *g, const float *logits, struct bise_error *err) {
    int32_t id;
    if (g->max_tokens == 0) {
        g->finish = FINISH_LENGTH;
        return BISE_OK;
    }
    const enum bise_status status = pick(g, logits, &id, err);
    if (status)
        return status;
    g->n_picked++;
    if (g->on_id && !g->on_id(g->arg, id, logits))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
    if (g->speculation)
        speculation_judge(g->speculation, id);
    if (is_end(g, id)) {
        g->finish = FINISH_END;
        return BISE_OK;
    }
    if (!id_list_add(g->ids, id))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
    if (g->calls && id == g->calls->mark)
        begin_calls(g);
    else
        put_text(g, id);
    if (g->out->failed)
        g->finish = FINISH_OUTPUT;
    else if (g->out->stop && g->out->stop->hit)
        g->finish = FINISH_STOP;
    else if (g->n_picked == g->max_tokens)
        g->finish = FINISH_LENGTH;
    return BISE_OK;
}

/* ---- runs ----------------------------------------------------------------------------------- */

static enum bise_status fail(struct generator *g, enum bise_status status) {
    if (status)
        generator_end(g, FINISH_ERROR);
    else if (g->finish != FINISH_NONE)
        generator_end(g, g->finish);
    return status;
}

enum bise_status generator_begin(struct generator *g, size_t held, struct bise_error *err) {
    g->finish = FINISH_NONE;
    g->held = held;
    g->base = bise_seq_position(g->engine, g->seq) - held;
    g->n_picked = 0;
    g->no_draft = g->in_calls = false;
    text_out_begin(g->out);
    if (g->grammar)
        bise_grammar_begin(g->grammar, g->out->strip_space);
    if (g->speculation)
        speculation_begin(g->speculation);
    if (held < g->ids->n)
        return BISE_OK;
    return fail(g, write_id(g, bise_seq_logits(g->engine, g->seq), err));
}

void generator_resume(struct generator *g, size_t held) {
    g->finish = FINISH_NONE;
    g->held = held;
    g->base = bise_seq_position(g->engine, g->seq) - held;
}

size_t generator_written(const struct generator *g) {
    return (size_t)(g->n_picked - (g->finish == FINISH_END));
}

bool generator_reads(const struct generator *g) {
    return g->finish == FINISH_NONE && (g->n_picked == 0 || g->ids->n - g->held > 1);
}

bool generator_next(struct generator *g, size_t max, struct bise_run *run) {
    if (g->finish != FINISH_NONE)
        return false;
    const size_t left = g->ids->n - g->held;
    g->n_own = left < max ? left : max;
    *run = (struct bise_run){.seq = g->seq,
                             .ids = g->ids->ids + g->held,
                             .n = g->n_own,
                             .want = g->n_own == left ? BISE_WANT_LAST : BISE_WANT_NONE};
    if (g->read_logits && g->n_picked == 0) {
        run->want = BISE_WANT_ALL;
        run->logits = g->read_logits;
    }
    if (g->speculation && !g->no_draft && max > 1 && !generator_reads(g))
        speculation_draft(g->speculation, g->ids, run, max);
    g->no_draft = false;
    return true;
}

/* The sequence may have run ahead: it goes back to the text. */
static void go_back(struct generator *g) {
    const uint64_t position = g->base + g->held;
    if (bise_seq_position(g->engine, g->seq) > position) /* within what the ring always holds */
        (void)bise_seq_truncate(g->engine, g->seq, position, NULL);
}

/* Picks from the logits of a run of which the last own id was the text's last. */
static enum bise_status write_ids(struct generator *g, const struct bise_run *run,
                                  struct bise_error *err) {
    const size_t vocab = bise_model_info(g->model)->vocab_size;
    enum bise_status status = BISE_OK;
    for (size_t i = g->n_own - 1;; i++) {
        const float *const logits =
            run->logits ? run->logits + i * vocab : bise_seq_logits(g->engine, g->seq);
        status = write_id(g, logits, err);
        if (status || g->finish != FINISH_NONE || i + 1 == run->n || !run->logits ||
            run->ids[i + 1] != g->ids->ids[g->ids->n - 1])
            break;
        g->held++; /* run already */
        g->speculation->n_taken++;
    }
    go_back(g);
    return status;
}

enum bise_status generator_take(struct generator *g, const struct bise_run *run,
                                enum bise_status status, double seconds, struct bise_error *err) {
    status = status ? status : run->status;
    if (status && run->n > g->n_own && status != BISE_ERR_INTERRUPTED) {
        g->no_draft = true; /* a draft may be nonsense to the model, or reach beyond the context */
        return BISE_OK;
    }
    if (status == BISE_ERR_INTERRUPTED || status == BISE_ERR_CONTEXT) {
        g->finish = status == BISE_ERR_CONTEXT ? FINISH_CONTEXT : FINISH_INTERRUPTED;
        return BISE_OK;
    }
    if (status)
        return fail(g, status);
    if (g->speculation && !generator_reads(g))
        speculation_timed(g->speculation, run->n, seconds);
    g->held += g->n_own;
    if (g->on_read && run->logits && g->n_picked == 0)
        g->on_read(g->arg, run);
    return g->held < g->ids->n ? BISE_OK : fail(g, write_ids(g, run, err));
}

void generator_end(struct generator *g, enum finish finish) {
    g->finish = finish;
    go_back(g);
    text_out_end(g->out);
}
