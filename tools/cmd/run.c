/* bise run: completes a text. */
#include "tools/cmd/run.h"

#include "quant/measure/statistics.h"
#include "src/base/error.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/common/read_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- --json: a completion as one JSON object ---- */

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

/* ---- the command ---- */

#define RUN_OPTIONS 11

static int check_options(const struct run_options *o) {
    if (!o->prompt + !o->file + !o->ids + !o->lines != 3)
        return refuse(EXIT_USAGE, "expected one of -p TEXT, -f FILE (- for stdin), --ids IDS and "
                                  "--jsonl FILE");
    if (o->runtime.n_seqs > 1 && !o->lines)
        return refuse(EXIT_USAGE, "-b goes with --jsonl");
    if (o->logprobs >= 0 && !o->json && !o->lines)
        return refuse(EXIT_USAGE, "--logprobs goes with --json or --jsonl");
    return EXIT_DONE;
}

static bool parse(struct run_options *o, int argc, char **argv, int *code) {
    struct option_def defs[RUN_OPTIONS + RUNTIME_OPTIONS + SAMPLING_OPTIONS] = {
        {"-p|--prompt", OPT_STRING(&o->prompt), "TEXT", "the text to go on with"},
        {"-f|--file", OPT_STRING(&o->file), "FILE", "the same from a file, - for stdin"},
        {"--special", OPT_FLAG(&o->special),
         "read control tokens in the prompt: <s>[INST] ... [/INST]"},
        {"--ids", OPT_STRING(&o->ids), "\"1 2 3\"", "the same as token ids; no BOS is added"},
        {"-n|--n-predict", OPT_INT(&o->n_predict, -1, 1e15), "N",
         "tokens to generate, -1: no limit (512)"},
        {"--ignore-eos", OPT_FLAG(&o->ignore_eos), "go on where the model would end"},
        {"--json", OPT_FLAG(&o->json), "the result as one JSON object"},
        {"--logprobs", OPT_INT(&o->logprobs, 0, MAX_LOGPROBS), "N",
         "with --json or --jsonl: each token's log probability, and the N likeliest"},
        {"--jsonl", OPT_STRING(&o->lines), "FILE",
         "a JSON object with a prompt on every line, - for stdin; one result a line"},
        {"-b|--batch", OPT_INT(&o->runtime.n_seqs, 1, MAX_SEQUENCES), "N",
         "with --jsonl: N lines at once, answered alike (1)"},
        {"-q|--quiet", OPT_FLAG(&o->quiet), "only the text, no facts on stderr"},
    };
    const char *argument = NULL;
    runtime_option_defs(&o->runtime, defs + RUN_OPTIONS);
    sampling_option_defs(&o->sampling, defs + RUN_OPTIONS + RUNTIME_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise run [MODEL] -p TEXT | -f FILE | --ids IDS | --jsonl FILE [options]",
                       &argument, 1, code) ||
        !runtime_argument(&o->runtime, argument, code))
        return false;
    *code = check_options(o);
    return *code == EXIT_DONE;
}

/* "1 2 3" or "1,2,3" to ids; each must be in 0..vocab-1. */
static int parse_ids(const char *text, uint32_t vocab, struct id_list *ids) {
    const char *bad;
    if (ids_from_text(text, (int64_t)vocab - 1, ids, &bad))
        return EXIT_DONE;
    if (!bad)
        return refuse(EXIT_MEMORY, "--ids: no memory");
    const size_t len = strcspn(bad, " ,\t\r\n");
    return refuse(EXIT_USAGE, "--ids: expected ids from 0 to %u, found \"%.*s\"", vocab - 1,
                  (int)(len < 40 ? len : 40), bad);
}

/* Whether the text holds the name of a control token, as prompts from model cards do. */
static bool has_marks(const struct runtime *e, const char *text, size_t len) {
    enum { MOST = 1 << 16 }; /* longer texts are documents */
    int32_t *marked;
    size_t n_marked = 0, piece;
    struct bise_error err;
    bool found = false;
    if (len > MOST || !(memchr(text, '<', len) || memchr(text, '[', len)))
        return false;
    const enum bise_status s = runtime_ids(e, text, len, false, true, &marked, &n_marked, &err);
    for (size_t i = 0; !s && i < n_marked && !found; i++) {
        bise_token_piece(e->model, marked[i], &piece);
        found = piece == 0; /* a control piece: its name is no text */
    }
    free(marked);
    return found;
}

static int tokenize_prompt(const struct run_options *o, const struct runtime *e, const char *text,
                           size_t len, struct id_list *ids) {
    struct bise_error err = {0};
    const bool marked = !o->special && !o->quiet && has_marks(e, text, len);
    const char *const format = e->info->chat_format;
    if (!o->special && !o->quiet && !marked && format[0] && strcmp(format, "none") != 0 &&
        isatty(STDERR_FILENO))
        say("note: this model was trained to answer in chat format %s, and goes on with a text as "
            "it stands here; bise chat -p asks it\n",
            format);
    if (marked)
        say("note: the prompt has names of control tokens in it, which are read as text; --special "
            "reads them as tokens\n");
    const enum bise_status status =
        runtime_ids(e, text, len, true, o->special, &ids->ids, &ids->n, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

/* The prompt as ids, of a runtime that has been looked at. Refused where it is empty or
 * longer than the context. */
static int read_prompt(const struct run_options *o, const struct runtime *e, struct id_list *ids) {
    char *file_text = NULL;
    size_t len = o->prompt ? strlen(o->prompt) : 0;
    int code = o->file ? read_text(o->file, ANY_LENGTH, &file_text, &len) : EXIT_DONE;
    if (!code && !o->ids && !e->info->has_tokenizer)
        code = refuse(EXIT_USAGE, "%s: the model file has no tokenizer: give the prompt as --ids",
                      e->path);
    else if (!code && o->ids)
        code = parse_ids(o->ids, e->info->vocab_size, ids);
    else if (!code && len)
        code = tokenize_prompt(o, e, o->prompt ? o->prompt : file_text, len, ids);
    free(file_text);
    if (code)
        return code;
    if (!ids->n)
        return refuse(EXIT_USAGE, "the prompt is empty");
    const struct bise_plan *plan = &e->plan;
    if (plan->window || ids->n <= plan->n_ctx)
        return EXIT_DONE;
    return refuse(
        EXIT_USAGE,
        "the prompt has %zu tokens, the context holds %u: %zu too many (-c N for a longer "
        "one)",
        ids->n, plan->n_ctx, ids->n - plan->n_ctx);
}

static int exit_code_of_finish(enum finish finish, enum bise_status error) {
    switch (finish) {
    case FINISH_CONTEXT:
        return refuse(EXIT_DONE, "the context is full (-c N for a longer one)");
    case FINISH_INTERRUPTED:
        return EXIT_INTERRUPTED;
    case FINISH_OUTPUT:
        return output_exit_code();
    case FINISH_ERROR:
        return exit_code_of(error);
    default:
        return EXIT_DONE;
    }
}

struct generator run_generator(const struct run *r, const struct run_job *job,
                               const struct constraint *constraint, struct speculation *speculation,
                               struct id_list *ids, struct text_out *out) {
    const struct bise_model_info *const info = r->runtime.info;
    return (struct generator){
        .sampler = job->sampler,
        .speculation = speculation->max ? speculation : NULL,
        .grammar = constraint->grammar,
        .allowed = constraint->allowed,
        .ids = ids,
        .end_ids = info->eos_ids,
        .n_end = r->options.ignore_eos && !constraint->grammar ? 0 : info->n_eos,
        .max_tokens = job->n_predict,
        .out = out,
        .print_ids = !info->has_tokenizer,
    };
}

enum bise_status run_complete(struct run *r, const struct run_job *job, struct run_result *result,
                              enum finish *finish, enum bise_status *error,
                              struct bise_error *err) {
    struct runtime *e = &r->runtime;
    const double prompt_before = e->prompt_seconds, answer_before = e->answer_seconds;
    const size_t n_before = e->n_decoded;
    const enum bise_status status = runtime_prefill(e, job->ids, job->n, err);
    if (status)
        return status;
    struct id_list ids = {.n = 0};
    if (!id_list_put(&ids, job->ids, job->n))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the prompt");
    struct text_out out = {
        .fd = STDOUT_FILENO, .stop = job->stop, .hold = result ? &result->text : NULL};
    struct answer answer = {
        .generator = run_generator(r, job, &r->constraint, &r->speculation, &ids, &out),
        .runtime = e,
    };
    answer.generator.on_id = result ? run_result_id : NULL;
    answer.generator.arg = result;
    *finish = answer_run(&answer, ids.n);
    *error = answer.error;
    free(ids.ids);
    if (result) {
        result->finish = *finish;
        result->prompt_seconds = e->prompt_seconds - prompt_before;
        result->answer_seconds = e->answer_seconds - answer_before;
        result->n_decoded = e->n_decoded - n_before;
    } else {
        if (out.last != '\n' && !out.failed)
            print("\n");
        fflush(stdout);
    }
    return BISE_OK;
}

/* The one prompt of the command line. */
static int run_one(struct run *r, const struct id_list *ids) {
    struct run_options *o = &r->options;
    struct run_result result = {.run = r};
    struct stop stop = {.n = 0};
    struct run_job job = {.ids = ids->ids, .n = ids->n, .n_predict = o->n_predict, .stop = &stop};
    struct bise_error err = {0};
    enum finish finish = FINISH_ERROR;
    enum bise_status error = BISE_OK;
    int code = sampling_stops(&o->sampling, &stop);
    if (!code)
        code = sampling_open(&job.sampler, &o->sampling, r->runtime.info->vocab_size, o->quiet);
    if (code)
        goto done;
    job.seed = o->sampling.seed;
    const enum bise_status status =
        run_complete(r, &job, o->json ? &result : NULL, &finish, &error, &err);
    code = status ? report(status, &err) : exit_code_of_finish(finish, error);
    if (!status && finish == FINISH_LENGTH && r->constraint.grammar && !o->json && !o->quiet)
        say("note: stopped after %lld tokens (-n N for more), perhaps amid what the answer is held "
            "to\n",
            (long long)job.n_predict);
    if (!status && o->json && !run_result_print(&result, &job, NULL) && !code)
        code = output_exit_code();
done:
    run_result_free(&result);
    bise_sampler_close(&job.sampler);
    return code;
}

/* What the arguments and the file's header alone decide is decided before weights are read: the
 * prompt as ids, the grammar, the sampler. */
static int look_first(struct run *r, struct id_list *ids) {
    struct run_options *o = &r->options;
    struct runtime *e = &r->runtime;
    int code = runtime_look(e, &o->runtime);
    if (!code && !o->lines)
        code = read_prompt(o, e, ids);
    else if (!code && strcmp(o->lines, "-") != 0 && access(o->lines, R_OK) != 0)
        code = refuse(EXIT_INPUT, "%s: %s", o->lines, strerror(errno));
    if (!code)
        code = sampling_check(&o->sampling, e);
    o->runtime.model = e->path;
    bise_model_close(&e->model);
    return code;
}

int cmd_run(int argc, char **argv) {
    struct run r = {.options = {.runtime = RUNTIME_DEFAULTS,
                                .sampling = SAMPLING_DEFAULTS,
                                .n_predict = 512,
                                .logprobs = -1}};
    struct run_options *o = &r.options;
    struct id_list ids = {.n = 0};
    int code;
    if (!parse(o, argc, argv, &code))
        return code;
    interrupt_catch();
    code = look_first(&r, &ids);
    if (!code)
        code = runtime_open(&r.runtime, &o->runtime);
    if (!code)
        code = constraint_open(&r.constraint, &r.runtime, &o->sampling.constraint);
    if (!code)
        code = speculation_open(&r.speculation, &r.runtime, (size_t)o->sampling.lookup);
    if (code)
        goto done;
    if (!o->quiet)
        runtime_print_plan(&r.runtime, stderr);
    sampling_draw_seed(&o->sampling, o->quiet);
    code = o->lines ? run_lines(&r) : run_one(&r, &ids);
    if (!o->quiet) {
        runtime_print_stats(&r.runtime, stderr);
        speculation_print(&r.speculation, stderr);
    }
done:
    free(ids.ids);
    constraint_close(&r.constraint);
    speculation_close(&r.speculation);
    runtime_close(&r.runtime);
    return code;
}
