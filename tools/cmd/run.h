/* What the parts of bise run share. */
#ifndef BISE_TOOLS_CMD_RUN_H
#define BISE_TOOLS_CMD_RUN_H

#include "tools/common/answer.h"
#include "tools/common/sampling.h"

#define MAX_LOGPROBS  20
#define MAX_SEQUENCES 1024 /* of -b */

struct run_options {
    struct runtime_options runtime;
    struct sampling_options sampling;
    const char *prompt, *file, *ids, *lines;
    int64_t n_predict, logprobs; /* logprobs: likeliest tokens shown for each; -1: none */
    bool ignore_eos, json, quiet, special;
};

struct run {
    struct run_options options;
    struct runtime runtime;
    struct constraint constraint;
    struct speculation speculation;
    struct bise_run *runs; /* [n_seqs]: of --jsonl's step */
};

/* One text to go on with. */
struct run_job {
    const int32_t *ids; /* [n] */
    size_t n;
    int64_t n_predict, seed;
    struct bise_sampler *sampler;
    struct stop *stop;
};

/* A completion on its way to being a JSON object. */
struct run_result {
    const struct run *run;
    struct buffer text, ids, logprobs; /* the latter two: elements of JSON arrays */
    size_t n_ids;
    double prompt_seconds, answer_seconds;
    size_t n_decoded;
    enum finish finish;
};

/* What writes the job's text, without an on_id; the others are its own. */
struct generator run_generator(const struct run *r, const struct run_job *job,
                               const struct constraint *constraint, struct speculation *speculation,
                               struct id_list *ids, struct text_out *out);
/* Reads the prompt in and goes on with it: on standard output, or into result where that is not
 * NULL (zeroed but for run). Errors: the prefill's. *finish says how the answer ended, *error why
 * where that is FINISH_ERROR (said on stderr). */
enum bise_status run_complete(struct run *r, const struct run_job *job, struct run_result *result,
                              enum finish *finish, enum bise_status *error, struct bise_error *err);

/* Keeps an id, as a generator's on_id: arg is a struct run_result. */
bool run_result_id(void *arg, int32_t id, const float *logits);
/* Prints the object, its members that begin with first (NULL: none) included, and a line end. False
 * if there was no memory or standard output failed. */
bool run_result_print(const struct run_result *r, const struct run_job *job, const char *first);
void run_result_free(struct run_result *r);

/* --jsonl: a completion for every line of the file. Returns an exit code. */
int run_lines(struct run *r);

#endif
