/* Runs a text through a session, window by window, and counts what it foresaw; beside a baseline
 * how far it is from that. */
#ifndef BISE_QUANT_MEASURE_EVALUATE_H
#define BISE_QUANT_MEASURE_EVALUATE_H

#include "quant/base/listener.h"
#include "quant/measure/kl_base.h"
#include "quant/measure/statistics.h"
#include "src/os/new_file.h"

struct evaluation {
    struct bise_session *session;
    struct eval_shape shape;
    const int32_t *ids; /* [n_windows][window] */
    size_t call;        /* tokens of one call to the model */
    const char *what;   /* said in front of the lines on how far it is */

    /* Any of these may be NULL. */
    struct new_file *out;              /* gets the logits of all that is run, as floats */
    struct kl_base *save;              /* gets the logits that count */
    struct kl_base *base;              /* a baseline in a file: its shape and ids are these */
    struct bise_session *base_session; /* or one that runs beside */
    const struct listener *listener;   /* gets a line every ten seconds, and one at the end */

    struct tally nll, base_nll; /* in nats; base_nll: of base_session */
    struct divergence kl;       /* of a baseline */
};

/* Ids of a text [n], cut into windows of `window` ids that begin with BOS (bos < 0: with nothing
 * new), as struct evaluation wants them: *out, malloc'd, and *shape, vocab aside. What is left over
 * is dropped; shape->n_windows may be 0.
 *   usual: the protocol of wikitext-2 as llama.cpp has it. ids begins with BOS; the first id of
 *   each window is replaced by BOS and the second half is predicted, c - 1 - c / 2 of them.
 *   whole: every window is BOS and then `window` ids of the text, all of them predicted. */
enum bise_status eval_usual(const int32_t *ids, size_t n, size_t window, int32_t bos, int32_t **out,
                            struct eval_shape *shape, struct bise_error *err);
enum bise_status eval_whole(const int32_t *ids, size_t n, size_t window, int32_t bos, int32_t **out,
                            struct eval_shape *shape, struct bise_error *err);

/* Runs everything. evaluation_close is due in any case.
 * Errors: those of bise_prefill_logits and of the baseline, IO, MEMORY, INTERRUPTED. */
enum bise_status evaluation_run(struct evaluation *e, struct bise_error *err);
/* Frees what evaluation_run took; session, ids, files and names are the caller's. */
void evaluation_close(struct evaluation *e);

#endif
