#include "tools/common/answer.h"

#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

/* One step; its time and tokens are the prompt's or the answer's. */
static enum bise_status step(struct answer *a, struct bise_run *run, struct bise_error *err) {
    struct generator *const g = &a->generator;
    struct runtime *const e = a->runtime;
    const bool reads = generator_reads(g);
    const size_t held = g->held;
    const double start = seconds_now();
    enum bise_status status = bise_step(g->engine, run, 1, interrupt_word(), err);
    const double seconds = seconds_now() - start;
    status = generator_take(g, run, status, seconds, err);
    *(reads ? &e->n_prompt : &e->n_decoded) += g->held - held;
    *(reads ? &e->prompt_seconds : &e->answer_seconds) += seconds;
    runtime_note_clock(e);
    return status;
}

enum finish answer_run(struct answer *a, size_t held) {
    struct generator *const g = &a->generator;
    struct bise_error err = {0};
    struct bise_run run;
    g->engine = a->runtime->engine;
    g->seq = 0;
    g->model = a->runtime->model;
    enum bise_status status = generator_begin(g, held, &err);
    while (!status && !interrupted() && generator_next(g, a->runtime->plan.chunk, &run)) {
        status = step(a, &run, &err);
        if (g->finish == FINISH_CONTEXT && a->on_full)
            (void)a->on_full(a->full_arg, g);
    }
    if (status) {
        a->error = status;
        say("\n");
        report(status, &err);
    }
    if (!status && g->finish == FINISH_NONE) {
        generator_end(g, FINISH_INTERRUPTED);
    } else if (g->finish == FINISH_CONTEXT || g->finish == FINISH_INTERRUPTED) {
        generator_end(g, g->finish);
    }
    a->runtime->n_answer += generator_written(g);
    if (g->out->failed)
        return interrupted_again() ? FINISH_INTERRUPTED : FINISH_OUTPUT;
    return g->finish;
}
