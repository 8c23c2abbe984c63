/* bise calibrate: how large what each matrix reads is, column by column, measured on a text. */
#include "quant/calibration.h"
#include "tools/cmd/listening.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"
#include "tools/common/runtime.h"
#include "tools/common/write_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_OPTIONS 4

struct options {
    struct runtime_options runtime;
    const char *text, *out;
    int64_t tokens, self;
};

static bool parse(struct options *o, int argc, char **argv, int *code) {
    struct option_def defs[RUNTIME_OPTIONS + OWN_OPTIONS] = {
        {"-f|--file", OPT_STRING(&o->text), "FILE", "the text, - for stdin"},
        {"--self", OPT_INT(&o->self, 1024, 1 << 24), "N", "N tokens that the model writes instead"},
        {"-o|--output", OPT_STRING(&o->out), "FILE", "the statistics, for bise quantize --calib"},
        {"--tokens", OPT_INT(&o->tokens, 1024, 1 << 24), "N",
         "read at most this many of the text (65536)"},
    };
    const char *argument = NULL;
    runtime_option_defs(&o->runtime, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise calibrate [MODEL] -f TEXT | --self N -o STATS [options]\n\n"
                       "MODEL: f32, bf16 or i8. -c N is the length of the sequences that the\n"
                       "text is cut into (512, or what the model was trained for)",
                       &argument, 1, code) ||
        !runtime_argument(&o->runtime, argument, code))
        return false;
    if (!o->text == !o->self || !o->out || !*o->out) {
        complain("expected %s", o->out && *o->out ? "either -f TEXT or --self N" : "-o STATS");
        *code = EXIT_USAGE;
        return false;
    }
    return true;
}

static int failed(enum bise_status status, const struct bise_error *err) {
    return report(status, status == BISE_ERR_INTERRUPTED ? NULL : err); /* it counts one call's */
}

/* The text's tokens, or the model's own. */
static int get_tokens(const struct options *o, struct runtime *e, const struct listener *listener,
                      struct calibration_text *t) {
    char *text = NULL;
    size_t len;
    int code;
    if (o->self) {
        struct bise_error err = {0};
        const enum bise_status s =
            text_write(t, e->session, e->info, (size_t)o->self, listener, &err);
        return s ? failed(s, &err) : EXIT_DONE;
    }
    code = read_text(o->text, ANY_LENGTH, &text, &len);
    if (!code)
        code = runtime_tokenize(e, text, len, false, &t->ids, &t->n);
    free(text);
    t->n = t->n < (size_t)o->tokens ? t->n : (size_t)o->tokens;
    if (!code && text_sequences(t) == 0) {
        complain("%s: expected at least %zu tokens, found %zu", o->text, t->length, t->n);
        code = EXIT_INPUT;
    }
    return code;
}

static int measure(const struct options *o, struct runtime *e, const struct calibration_text *t,
                   const struct listener *listener) {
    struct bise_error err = {0};
    struct moment_sums m;
    enum bise_status s = moment_sums_open(&m, &e->model->config, &err);
    if (s)
        return report(s, &err);
    session_observe(e->session, &m.observer);
    s = text_run(t, e->session, listener, &err);
    session_observe(e->session, NULL);
    if (!s) {
        moments_report(moment_sums_take(&m), listener);
        s = moments_write(&m.means, o->out, &err);
    }
    if (!s)
        say("%s: %zu inputs, %zu sequences of %zu tokens\n", o->out, m.means.n, text_sequences(t),
            t->length);
    moment_sums_close(&m);
    return s ? failed(s, &err) : EXIT_DONE;
}

/* What can be refused before weights are read. */
static int look_first(const struct options *o) {
    struct runtime e;
    int code = runtime_look(&e, &o->runtime);
    if (!code && strcmp(e.info->weight_type, "i4") == 0)
        code = refuse(EXIT_INPUT, "%s: expected a model in f32, bf16 or i8, found i4", e.path);
    if (!code && o->text && strcmp(o->text, "-") != 0 && access(o->text, R_OK) != 0)
        code = refuse(EXIT_INPUT, "%s: %s", o->text, strerror(errno));
    if (!code)
        code = write_place(o->out);
    runtime_close(&e);
    return code;
}

int cmd_calibrate(int argc, char **argv) {
    struct options o = {.runtime = RUNTIME_DEFAULTS, .tokens = 65536};
    struct runtime e = {0};
    struct calibration_text text = {0};
    struct listening listening;
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    listening_init(&listening, false);
    interrupt_catch();
    const bool length_given = o.runtime.n_ctx > 0;
    if (!length_given)
        o.runtime.n_ctx = CALIBRATION_LENGTH;
    code = look_first(&o);
    if (!code)
        code = runtime_open(&e, &o.runtime);
    if (!code) {
        const size_t trained = e.info->max_context, asked = (size_t)o.runtime.n_ctx;
        text.length = !length_given && trained > 0 && trained < asked ? trained : asked;
        text.bos = e.info->text_bos;
        code = text.length < 32 ? EXIT_USAGE : get_tokens(&o, &e, &listening.listener, &text);
        if (text.length < 32)
            complain("-c: sequences have at least 32 tokens");
    }
    if (!code)
        code = measure(&o, &e, &text, &listening.listener);
    text_close(&text);
    runtime_close(&e);
    return code;
}
