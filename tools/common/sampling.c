#include "tools/common/sampling.h"

#include "src/base/error.h"
#include "src/os/process.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sampling_option_defs(struct sampling_options *o, struct option_def *defs) {
    const struct option_def mine[SAMPLING_OPTIONS] = {
        {"-s|--seed", OPT_INT(&o->seed, -1, 9007199254740992.0), "N",
         "seed of the random numbers (default: any)"},
        {"--temp", OPT_FLOAT(&o->temp, 0, 1e6), "X", "temperature, 0 takes the likeliest (0.7)"},
        {"--top-k", OPT_INT(&o->top_k, 0, 1 << 22), "N",
         "of the N likeliest tokens only, 0: all (40)"},
        {"--typical|--typical-p", OPT_FLOAT(&o->typical_p, 0, 1), "P",
         "locally typical, 1: off (1)"},
        {"--top-p", OPT_FLOAT(&o->top_p, 0, 1), "P",
         "of the likeliest that make up P, 1: all (0.95)"},
        {"--min-p", OPT_FLOAT(&o->min_p, 0, 1), "P",
         "at least P times the likeliest, 0: off (0.05)"},
        {"--repeat-penalty", OPT_FLOAT(&o->repeat_penalty, 0, 1e6), "X",
         "make tokens seen unlikelier, 1: off (1)"},
        {"--frequency-penalty", OPT_FLOAT(&o->frequency_penalty, -1e6, 1e6), "X",
         "less for every time a token was seen (0)"},
        {"--presence-penalty", OPT_FLOAT(&o->presence_penalty, -1e6, 1e6), "X",
         "less for tokens that were seen (0)"},
        {"--repeat-last-n", OPT_INT(&o->repeat_last, 0, 1 << 20), "N",
         "how far penalties look back (64)"},
        {"--logit-bias", OPT_LIST(&o->bias), "ID+X",
         "add X to a token's logit, as in 15+2, 15-2, 15-inf; may come again"},
        {"--stop", OPT_LIST(&o->stops), "TEXT", "end before this text; may come again"},
        {"--grammar", OPT_STRING(&o->constraint.grammar), "GBNF",
         "answers must follow this grammar"},
        {"--grammar-file", OPT_STRING(&o->constraint.grammar_file), "FILE", "the same from a file"},
        {"--json-schema", OPT_STRING(&o->constraint.json_schema), "SCHEMA",
         "answers must be JSON of this schema, @FILE: from a file"},
        {"--strict-schema", OPT_FLAG(&o->constraint.strict),
         "refuse a schema of which keywords or formats are not applied"},
        {"--lookup", OPT_INT(&o->lookup, 0, LOOKUP_MAX), "N",
         "check up to N drafted tokens at once: faster where text repeats (0)"},
    };
    memcpy(defs, mine, sizeof mine);
}

/* "15+2", "15-2.5" or "15-inf". */
static bool parse_bias(const char *text, struct bise_logit_bias *bias) {
    char *sign, *end;
    errno = 0;
    const long id = strtol(text, &sign, 10);
    if (sign == text || text[0] < '0' || text[0] > '9' || errno || id > INT32_MAX ||
        (*sign != '+' && *sign != '-'))
        return false;
    bias->id = (int32_t)id;
    bias->bias = strtof(sign, &end);
    return end > sign + 1 && !*end;
}

bool sampling_params(const struct sampling_options *o, struct bise_logit_bias *bias,
                     struct bise_sampler_params *params) {
    for (size_t i = 0; i < o->bias.n; i++)
        if (!parse_bias(o->bias.items[i], &bias[i]))
            return complain("--logit-bias: expected a token id and a number with its sign, as in "
                            "15+2 or 15-inf, found \"%s\"",
                            o->bias.items[i]);
    *params = (struct bise_sampler_params){
        .temp = (float)o->temp,
        .top_k = (uint32_t)(o->top_k < UINT32_MAX ? o->top_k : UINT32_MAX),
        .typical_p = (float)o->typical_p,
        .top_p = (float)o->top_p,
        .min_p = (float)o->min_p,
        .repeat_penalty = (float)o->repeat_penalty,
        .frequency_penalty = (float)o->frequency_penalty,
        .presence_penalty = (float)o->presence_penalty,
        .repeat_last = (uint32_t)(o->repeat_last < UINT32_MAX ? o->repeat_last : UINT32_MAX),
        .seed = (uint64_t)o->seed,
        .bias = bias,
        .n_bias = o->bias.n,
    };
    return true;
}

void sampling_draw_seed(struct sampling_options *o, bool quiet) {
    if (o->seed >= 0)
        return;
    o->seed = (int64_t)(process_random() & 0xffffffffu); /* short enough to be typed again */
    if (o->temp > 0 && !quiet)
        say("seed %lld\n", (long long)o->seed);
}

int sampling_open(struct bise_sampler **sampler, struct sampling_options *o, uint32_t n_vocab,
                  bool quiet) {
    struct bise_logit_bias bias[OPTION_LIST_MAX];
    struct bise_sampler_params params;
    struct bise_error err = {0};
    sampling_draw_seed(o, quiet);
    if (!sampling_params(o, bias, &params))
        return EXIT_USAGE;
    const enum bise_status status = bise_sampler_open(sampler, n_vocab, &params, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

int sampling_stops(const struct sampling_options *o, struct stop *stop) {
    for (size_t i = 0; i < o->stops.n; i++)
        if (!stop_add(stop, o->stops.items[i]))
            return refuse(EXIT_USAGE, "--stop: expected at most %d texts of 1 to %d bytes",
                          STOP_MAX_TEXTS, STOP_MAX_BYTES);
    return EXIT_DONE;
}

int sampling_check(const struct sampling_options *o, const struct runtime *e) {
    struct sampling_options own = *o;
    struct constraint constraint = {.grammar = NULL};
    struct bise_sampler *sampler = NULL;
    struct stop stop = {.n = 0};
    own.seed = 0; /* it is drawn later */
    int code = sampling_stops(&own, &stop);
    if (!code)
        code = sampling_open(&sampler, &own, e->info->vocab_size, true);
    if (!code)
        code = constraint_open(&constraint, e, &own.constraint);
    constraint_close(&constraint);
    bise_sampler_close(&sampler);
    return code;
}

/* ---- grammars that answers must follow ---- */

#define CONSTRAINT_MAX_BYTES                                                                       \
    ((size_t)16 << 20) /* of a file; what is compiled has limits of its own */

int constraint_open(struct constraint *c, const struct runtime *e,
                    const struct constraint_source *from) {
    const char *const schema = from->json_schema;
    const char *const file = schema && schema[0] == '@' ? schema + 1 : from->grammar_file;
    const char *text = file ? NULL : schema ? schema : from->grammar;
    struct bise_error err = {0};
    char *from_file = NULL;
    size_t len = text ? strlen(text) : 0;
    if (!text && !file)
        return EXIT_DONE;
    if ((from->grammar != NULL) + (from->grammar_file != NULL) + (schema != NULL) > 1)
        return refuse(EXIT_USAGE, "expected one of --grammar, --grammar-file and --json-schema");
    const int code = file ? read_text(file, CONSTRAINT_MAX_BYTES, &from_file, &len) : EXIT_DONE;
    if (code)
        return code;
    text = file ? from_file : text;
    enum bise_status status = schema
                                  ? bise_grammar_open_schema(&c->grammar, e->model, text, len, &err)
                                  : bise_grammar_open(&c->grammar, e->model, text, len, &err);
    free(from_file);
    const char *note = status || !schema ? NULL : bise_grammar_note(c->grammar);
    if (note && from->strict)
        status = bise_fail(&err, BISE_ERR_ARG,
                           "json schema: --strict-schema, and these keywords or formats are not "
                           "applied: %s",
                           note);
    else if (note)
        complain("json schema: not applied: %s", note);
    c->allowed = status ? NULL : malloc(e->info->vocab_size);
    if (!status && !c->allowed)
        status = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the grammar");
    return status ? report(status, &err) : EXIT_DONE;
}

void constraint_close(struct constraint *c) {
    bise_grammar_close(&c->grammar);
    free(c->allowed);
    c->allowed = NULL;
}
