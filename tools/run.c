/* bise run: completes a text. */
#include "answer.h"
#include "progress.h"
#include "read_text.h"
#include "sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_options {
    struct engine_options engine;
    struct sampling_options sampling;
    const char *prompt, *file, *ids;
    int64_t n_predict;
    bool ignore_eos, quiet;
};

#define RUN_OPTIONS 6

static bool parse(struct run_options *o, int argc, char **argv, int *code) {
    const struct option_def mine[RUN_OPTIONS] = {
        {"-p|--prompt", OPT_STRING, &o->prompt, "TEXT", "the text to go on with", 0, 0},
        {"-f|--file", OPT_STRING, &o->file, "FILE", "the same from a file, - for stdin", 0, 0},
        {"--ids", OPT_STRING, &o->ids, "\"1 2 3\"", "the same as token ids; no BOS is added", 0, 0},
        {"-n|--n-predict", OPT_INT, &o->n_predict, "N", "tokens to generate, -1: no limit (512)",
         -1, 1e15},
        {"--ignore-eos", OPT_FLAG, &o->ignore_eos, NULL, "go on where the model would end", 0, 0},
        {"-q|--quiet", OPT_FLAG, &o->quiet, NULL, "only the text, no facts on stderr", 0, 0},
    };
    struct option_def defs[ENGINE_OPTIONS + RUN_OPTIONS + SAMPLING_OPTIONS];
    size_t n_positional;
    engine_option_defs(&o->engine, defs);
    memcpy(defs + ENGINE_OPTIONS, mine, sizeof mine);
    sampling_option_defs(&o->sampling, defs + ENGINE_OPTIONS + RUN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise run [-m FILE] -p TEXT | -f FILE | --ids IDS [options]", NULL, 0,
                       &n_positional, code))
        return false;
    if (!o->prompt + !o->file + !o->ids != 2) {
        fprintf(stderr, "bise: run: expected one of -p TEXT, -f FILE and --ids IDS\n");
        *code = EXIT_USAGE;
        return false;
    }
    return true;
}

/* "1 2 3" or "1,2,3" to ids, malloc'd; each must be in 0..vocab-1. */
static int parse_ids(const char *text, uint32_t vocab, int32_t **ids, size_t *n) {
    *n = 0;
    *ids = malloc((strlen(text) / 2 + 1) * sizeof **ids);
    if (!*ids) {
        fprintf(stderr, "bise: --ids: no memory\n");
        return EXIT_MEMORY;
    }
    for (;;) {
        text += strspn(text, " ,\t\r\n");
        if (!*text)
            return EXIT_DONE;
        char *end;
        errno = 0;
        const long long id = strtoll(text, &end, 10);
        const size_t len = strcspn(text, " ,\t\r\n");
        if (end != text + len || errno || id < 0 || id >= (long long)vocab) {
            fprintf(stderr, "bise: --ids: expected ids from 0 to %u, found \"%.*s\"\n", vocab - 1,
                    (int)(len < 40 ? len : 40), text);
            return EXIT_USAGE;
        }
        (*ids)[(*n)++] = (int32_t)id;
        text = end;
    }
}

/* The prompt as ids, malloc'd. Refused where it is empty or longer than the context. */
static int read_prompt(const struct run_options *o, const struct engine *e, int32_t **ids,
                       size_t *n) {
    char *file_text = NULL;
    size_t len = o->prompt ? strlen(o->prompt) : 0;
    int code = o->file ? read_text(o->file, &file_text, &len) : EXIT_DONE;
    if (!code && o->ids)
        code = parse_ids(o->ids, e->info->vocab_size, ids, n);
    else if (!code && len)
        code = engine_tokenize(e, o->prompt ? o->prompt : file_text, len, true, ids, n);
    free(file_text);
    if (code)
        return code;
    if (!*n) {
        fprintf(stderr, "bise: the prompt is empty\n");
        return EXIT_USAGE;
    }
    const struct bise_plan *plan = bise_session_plan(e->session);
    if (!plan->window && *n > plan->n_ctx) {
        fprintf(stderr,
                "bise: the prompt has %zu tokens, the context holds %u: %zu too many "
                "(-c N for a longer one)\n",
                *n, plan->n_ctx, *n - plan->n_ctx);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int exit_code_of_finish(const struct answer *a, enum finish finish) {
    switch (finish) {
    case FINISH_CONTEXT:
        fprintf(stderr, "bise: the context is full (-c N for a longer one)\n");
        return EXIT_DONE;
    case FINISH_INTERRUPTED:
        return EXIT_INTERRUPTED;
    case FINISH_OUTPUT:
        return EXIT_FAILED;
    case FINISH_ERROR:
        return exit_code_of(a->error);
    default:
        return EXIT_DONE;
    }
}

static int complete(const struct run_options *o, struct engine *e, struct bise_sampler *sampler,
                    struct constraint *constraint, struct speculation *speculation,
                    struct stop *stop, const int32_t *ids, size_t n) {
    struct bise_error err = {0};
    const enum bise_status status = engine_prefill(e, ids, n, &err);
    if (status)
        return report(status, &err);
    for (size_t i = 0; i < n; i++)
        bise_sampler_accept(sampler, ids[i]);
    struct text_out out = {.fd = STDOUT_FILENO, .stop = stop};
    struct answer answer = {
        .engine = e,
        .sampler = sampler,
        .max_tokens = o->n_predict,
        .constraint = constraint->grammar ? constraint : NULL,
        .speculation = speculation->max ? speculation : NULL,
        .end_ids = e->info->eos_ids,
        .n_end = o->ignore_eos && !constraint->grammar ? 0 : e->info->n_eos,
        .out = &out,
        .print_ids = !e->info->has_tokenizer,
    };
    const enum finish finish = answer_run(&answer);
    if (out.last != '\n' && !out.failed)
        printf("\n");
    fflush(stdout);
    return exit_code_of_finish(&answer, finish);
}

int cmd_run(int argc, char **argv) {
    struct run_options o = {
        .engine = ENGINE_DEFAULTS, .sampling = SAMPLING_DEFAULTS, .n_predict = 512};
    struct engine e = {.path = NULL};
    struct bise_sampler *sampler = NULL;
    struct constraint constraint = {.grammar = NULL};
    struct speculation speculation = {.max = 0};
    struct stop stop = {.n = 0};
    int32_t *ids = NULL;
    size_t n = 0;
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    interrupt_catch();
    code = engine_open(&e, &o.engine);
    if (!code)
        code = read_prompt(&o, &e, &ids, &n);
    if (!code)
        code = sampling_stops(&o.sampling, &stop);
    if (!code)
        code = constraint_open(&constraint, &e, &o.sampling.constraint);
    if (!code)
        code = speculation_open(&speculation, &e, (size_t)o.sampling.lookup);
    if (code)
        goto done;
    if (!o.quiet)
        engine_print_plan(&e, stderr);
    code = sampling_open(&sampler, &o.sampling, e.info->vocab_size, o.quiet);
    if (code)
        goto done;
    code = complete(&o, &e, sampler, &constraint, &speculation, &stop, ids, n);
    if (!o.quiet) {
        engine_print_stats(&e, stderr);
        speculation_print(&speculation, stderr);
    }
done:
    free(ids);
    bise_sampler_close(&sampler);
    constraint_close(&constraint);
    speculation_close(&speculation);
    engine_close(&e);
    return code;
}
