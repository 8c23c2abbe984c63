/* bise study: which experiment, on which model, on which text. */
#include "tools/cmd/study.h"
#include "tools/cmd/bench.h"

#include "src/os/file.h"
#include "tools/common/interrupt.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_OPTIONS 9

static const struct {
    const char *name;
    int (*run)(struct study *s);
    bool reads; /* a text by a model */
} experiments[] = {{"gqa", study_gqa, false},
                   {"window", study_window, true},
                   {"cache", study_cache, true},
                   {"chunk", study_chunk, true},
                   {"long", study_long, true}};
#define N_EXPERIMENTS (sizeof experiments / sizeof experiments[0])

static int open_model(struct study *s) {
    struct bise_model_params params = {.n_threads = (int)s->runtime.threads};
    struct bise_error err = {0};
    int code;
    if (!runtime_parse_memory(s->runtime.memory, &params.memory))
        return EXIT_USAGE;
    s->e.path = model_given(s->runtime.model, NULL, &code);
    if (!s->e.path)
        return code;
    const enum bise_status status = bise_model_open(&s->e.model, s->e.path, &params, &err);
    if (status)
        return report(status, &err);
    s->e.info = bise_model_info(s->e.model);
    return EXIT_DONE;
}

static int read_ids(struct study *s) {
    char *text = NULL;
    size_t len = 0;
    int code = EXIT_DONE;
    if (s->prompt)
        len = strlen(s->prompt);
    else
        code = read_text(s->file, ANY_LENGTH, &text, &len);
    if (!code)
        code = runtime_tokenize(&s->e, s->prompt ? s->prompt : text, len, true, &s->ids, &s->n);
    free(text);
    return code;
}

void study_begin_json(struct buffer *b, const char *name, const char *model) {
    buffer_text(b, "{\n  \"format\": \"bise-study\",\n  \"version\": 1,\n");
    bench_print_facts(b);
    buffer_print(b, "  \"study\": \"%s\"", name);
    if (model) {
        buffer_text(b, ",\"model\":");
        buffer_json(b, file_base(model), strlen(file_base(model)));
    }
}

void study_end_json(struct buffer *b) {
    buffer_text(b, "}\n");
    if (!b->failed)
        fwrite(b->bytes, 1, b->len, stdout);
    buffer_free(b);
}

int cmd_study(int argc, char **argv) {
    struct study s = {.runtime = RUNTIME_DEFAULTS};
    struct option_def defs[RUNTIME_OPTIONS + OWN_OPTIONS] = {
        {"-p|--prompt", OPT_STRING(&s.prompt), "TEXT", "the text"},
        {"-f|--file", OPT_STRING(&s.file), "FILE", "a text in a file, - for stdin"},
        {"-n|--steps", OPT_INT(&s.steps, 1, 4000), "N",
         "cache: tokens, the model's own behind the text (default: until the cache has rolled); "
         "gqa: tokens written for each figure (16)"},
        {"--windows", OPT_STRING(&s.windows), "LIST",
         "window: widths, 0 for none (default: 16, 32 ... the model's, 0)"},
        {"--tokens", OPT_INT(&s.tokens, 64, 1e9), "N",
         "window, chunk, long: tokens of the text at most (2048, 4096, 100000)"},
        {"--shape", OPT_STRING(&s.shape), "SHAPE",
         "gqa: of the models, as bise synth has it (mistral-7b,layers=4)"},
        {"--budget", OPT_INT(&s.budget, 1, 1 << 20), "GIB",
         "gqa: memory that contexts and conversations are to fit in (16)"},
        {"--svg", OPT_STRING(&s.svg), "FILE", "cache: draw it, too"},
        {"--json", OPT_FLAG(&s.json), "print one JSON object"},
    };
    const char *name = NULL;
    size_t i = 0;
    int code;
    runtime_option_defs(&s.runtime, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise study EXPERIMENT [-m FILE] [-p TEXT | -f FILE] [options]\n\n"
                       "EXPERIMENT:\n"
                       "  gqa     memory and speed with as many KV heads as heads, a quarter, an\n"
                       "          eighth, and one: random models of one --shape\n"
                       "  window  perplexity, memory and speed of windows, and what is\n"
                       "          remembered over which distance\n"
                       "  cache   what lies where in the rolling cache, step by step, and whether\n"
                       "          all that is promised of it holds (--window 4)\n"
                       "  chunk   a long text read in chunks of different lengths: time, memory\n"
                       "  long    100,000 tokens and more: memory and speed that stay the same",
                       &name, 1, &code))
        return code;
    while (name && i < N_EXPERIMENTS && strcmp(name, experiments[i].name) != 0)
        i++;
    if (!name || i == N_EXPERIMENTS)
        return refuse(EXIT_USAGE, "expected one of gqa, window, cache, chunk, long%s%s%s",
                      name ? ", found \"" : "", name ? name : "", name ? "\"" : "");
    if (experiments[i].reads && !s.prompt == !s.file)
        return refuse(EXIT_USAGE, "expected either -p TEXT or -f FILE");
    if (s.svg && !*s.svg)
        return refuse(EXIT_USAGE, "--svg: expected the name of a file, found none");
    interrupt_catch();
    code = runtime_session_params(&s.runtime, &s.params) ? EXIT_DONE : EXIT_USAGE;
    if (!code && experiments[i].reads)
        code = open_model(&s);
    if (!code && experiments[i].reads)
        code = read_ids(&s);
    if (!code)
        code = experiments[i].run(&s);
    free(s.ids);
    runtime_close(&s.e);
    return code;
}
