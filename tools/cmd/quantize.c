/* bise quantize: a checkpoint becomes one .bise file. */
#include "quant/bundle.h"
#include "quant/calibration.h"
#include "quant/convert_layers.h"
#include "quant/dry_run.h"
#include "quant/mix.h"
#include "quant/quantize_eval.h"
#include "quant/types.h"
#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/cpu.h"
#include "tools/cmd/listening.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <stdlib.h>
#include <string.h>

#define OWN_OPTIONS         9
#define TYPE_OPTIONS        7
#define CALIBRATION_OPTIONS 4

struct options {
    const char *source, *out, *tokenizer, *chat, *eval, *sensitivity;
    const char *called; /* -o as it was given */
    struct calibration_options calib;
    struct type_options types;
    struct option_list rules; /* of --tensor, which types refers to */
    bool no_tokenizer, dry_run, quiet;
    int64_t threads, window;
};

struct quantize {
    const struct options *options;
    struct listening listening;
    struct types types;
    struct source *source;
    struct model_config config; /* the source's, with the chat format */
    const char *chat_why;       /* what is to be said of an unknown one, or NULL */
    struct bundle tokenizer;
    struct eval_text eval; /* of --eval */
    struct calibration calibration;
    struct tensor_shape *shapes;
    struct writer_tensor *tensors;
    size_t n_tensors;
};

static enum bise_status check_options(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    if (o->chat && chat_format_from_name(o->chat) == CHAT_FORMAT_COUNT)
        return bise_fail(err, BISE_ERR_ARG,
                         "--chat-format: expected v1, v3, chatml, zephyr, llama2 or none, found "
                         "\"%s\"",
                         o->chat);
    return types_parse(&q->types, &o->types, err);
}

static enum bise_status open_source(struct quantize *q, struct bise_error *err) {
    char note[2048];
    enum bise_status s = source_open(&q->source, q->options->source, note, sizeof note, err);
    for (char *rest = note, *line; (line = strsep(&rest, "\n")) != NULL;)
        if (!s && *line && !(q->options->quiet && strncmp(line, "warning: ", 9) != 0))
            say("%s%s\n", strncmp(line, "warning: ", 9) == 0 ? "" : "note: ", line);
    if (s)
        return s;
    q->config = *source_config(q->source);
    if (q->options->window)
        q->config.window = (uint32_t)q->options->window;
    return BISE_OK;
}

static void choose_chat(struct quantize *q) {
    const char *name = q->options->chat;
    q->config.chat = name ? chat_format_from_name(name)
                          : source_guess_chat(q->source, q->tokenizer.tokenizer, &q->chat_why);
}

/* The last words, where a chat will need more than the file tells. */
static void note_chat(const struct quantize *q) {
    if (q->config.chat == CHAT_UNKNOWN && !q->options->quiet)
        say("note: the chat format is not certain from %s%s%s. The model's card says which it is; "
            "put "
            "it into the file by\n  bise set %s --chat-format NAME\nNAME is v1 (Mistral Instruct "
            "v0.1, v0.2, Mixtral), v3 (v0.3), chatml, zephyr, llama2, or none (a base model)\n",
            q->options->source, q->chat_why ? ": " : "", q->chat_why ? q->chat_why : "",
            q->options->called);
}

static int thread_count(const struct quantize *q) {
    return q->options->threads ? (int)q->options->threads : cpu_default_threads();
}

static struct origin origin(const struct quantize *q) {
    return (struct origin){.source = q->source,
                           .path = q->options->source,
                           .out = q->options->out,
                           .config = &q->config,
                           .tokenizer = &q->tokenizer,
                           .listener = &q->listening.listener,
                           .n_threads = thread_count(q),
                           .dry_run = q->options->dry_run};
}

/* The tensors and their types, --bits aside, which may need statistics. */
static enum bise_status list_tensors(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    const enum bise_status s =
        types_apply(&q->types, &o->types, &q->config, &q->shapes, &q->tensors, &q->n_tensors, err);
    if (s || !(o->calib.file || o->calib.text || o->calib.self))
        return s;
    for (size_t i = 0; i < q->n_tensors; i++)
        if (is_rounded(&q->tensors[i]))
            return BISE_OK;
    return bise_fail(err, BISE_ERR_ARG, "%s: of no use with --type %s",
                     o->calib.text   ? "--calib-text"
                     : o->calib.self ? "--calib-self"
                                     : "--calib",
                     tensor_type_name(q->types.type));
}

static void print_summary(const struct quantize *q, uint64_t file_bytes, double seconds) {
    const struct type_share all = types_share(q->tensors, q->n_tensors, false);
    const struct type_share layers = types_share(q->tensors, q->n_tensors, true);
    const double before = (double)source_bytes(q->source);
    if (q->options->quiet)
        return;
    say("%s: %.1f MB -> %.1f MB, %.2f bits per weight, %.2f in layers, %.1f s, %.0f MB/s\n",
        q->options->out, before / 1e6, (double)file_bytes / 1e6, type_bits(&all),
        type_bits(&layers), seconds, before / 1e6 / seconds);
}

/* A number for what the file is made from, options aside: the writer has those in its plan. */
static uint64_t identity(const struct quantize *q) {
    return source_identity(q->source) ^ calibration_identity(&q->calibration);
}

static void say_resumed(const struct quantize *q, const struct writer *w) {
    if (!writer_is_locked(w))
        say("note: %s: this file system has no locks: no other quantize may write the same file "
            "meanwhile\n",
            writer_temp_path(w));
    if (writer_finished(w) && !q->options->quiet)
        say("%s: %zu of %zu tensors are there from an earlier run\n", writer_temp_path(w),
            writer_finished(w), q->n_tensors);
}

/* What was finished is kept where going on makes sense: not where the source is at fault. */
static void stop_writing(const struct quantize *q, struct writer **w, enum bise_status why) {
    if (!*w)
        return;
    if (writer_finished(*w) == 0 || why == BISE_ERR_FORMAT || why == BISE_ERR_ARG) {
        writer_abort(w);
        return;
    }
    say("%s: %zu of %zu tensors are finished; the same command goes on from there\n",
        writer_temp_path(*w), writer_finished(*w), q->n_tensors);
    writer_suspend(w);
}

static void describe(const struct quantize *q, struct provenance *p) {
    memset(p, 0, sizeof *p);
    snprintf(p->source, sizeof p->source, "%s", source_description(q->source));
    char types[512], calib[128];
    bool any_i4 = false;
    for (size_t i = 0; i < q->n_tensors; i++)
        any_i4 |= is_rounded(&q->tensors[i]) && q->tensors[i].type == TYPE_I4;
    calibration_describe(&q->calibration, &q->options->calib, any_i4, calib, sizeof calib);
    types_describe(&q->types, &q->config, types, sizeof types);
    snprintf(p->recipe, sizeof p->recipe, "bise " BISE_VERSION " quantize, %s, scales searched%s%s",
             types, q->types.type == TYPE_I4 ? ", built-in codebook" : "", calib);
    if (q->eval.n)
        eval_placeholder(p->eval, sizeof p->eval);
}

static struct convert convert_of(const struct quantize *q) {
    return (struct convert){.source = q->source,
                            .tensors = q->tensors,
                            .n_tensors = q->n_tensors,
                            .n_threads = thread_count(q),
                            .name = q->options->out,
                            .listener = &q->listening.listener};
}

static double megabytes(uint64_t bytes) {
    return (double)bytes / 1e6;
}

static void print_plan(const struct quantize *q, const struct dry_run *d) {
    const struct type_share all = types_share(q->tensors, q->n_tensors, false);
    const struct type_share layers = types_share(q->tensors, q->n_tensors, true);
    const bool reads_text = q->eval.n || q->options->sensitivity || q->calibration.text.n;
    const double source = megabytes(source_bytes(q->source));
    const int n_threads = thread_count(q);
    print("source  %.1f MB, %zu tensors\n", source, q->n_tensors);
    print("output  %.1f MB, %.2f bits per weight, %.2f in layers\n", megabytes(d->file_bytes),
          type_bits(&all), type_bits(&layers));
    print("disk    %.1f MB needed (%.1f of them for a while), %.1f MB free\n",
          megabytes(d->disk_bytes), megabytes(d->temp_bytes), megabytes(d->disk_free));
    print("memory  %.1f MB needed, %.1f MB available\n", megabytes(d->memory_bytes),
          megabytes(d->memory_free));
    print(
        "time    about %.1f s with %d thread%s of their own: %.0f MB/s of the source for each%s\n",
        d->seconds, n_threads, n_threads == 1 ? "" : "s", source / d->seconds / n_threads,
        reads_text ? "; running a text comes on top" : "");
    if (!d->fits)
        print("does not fit\n");
}

/* provenance is filled, and must stay as long as the plan is used. */
static struct writer_plan plan_of(const struct quantize *q, struct provenance *provenance) {
    describe(q, provenance);
    return (struct writer_plan){.config = &q->config,
                                .provenance = provenance,
                                .tokenizer = q->tokenizer.bytes,
                                .tokenizer_len = q->tokenizer.len,
                                .tensors = q->tensors,
                                .n_tensors = q->n_tensors,
                                .kind = WRITER_RESUMABLE,
                                .source = identity(q)};
}

static enum bise_status only_say(const struct quantize *q, struct bise_error *err) {
    const struct convert c = convert_of(q);
    const struct origin from = origin(q);
    struct provenance p;
    const struct writer_plan plan = plan_of(q, &p);
    struct dry_run d = {.convert = &c, .out_path = q->options->out};
    enum bise_status s = writer_measure(&d.file_bytes, &plan, err);
    d.extra_bytes = convert_layers_memory(&q->config, q->calibration.text.n, c.n_threads);
    if (q->eval.n || q->options->sensitivity || q->options->calib.self)
        d.temp_bytes = reference_bytes(&from);
    if (!s)
        s = dry_run(&d, err);
    if (!s)
        print_plan(q, &d);
    if (!s && !d.fits)
        s = bise_fail(err, BISE_ERR_DISK, "%s: not enough disk or memory", q->options->out);
    return s;
}

static enum bise_status write_file(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    const struct origin from = origin(q);
    struct convert c = convert_of(q);
    struct provenance p;
    const struct writer_plan plan = plan_of(q, &p);
    enum bise_status s = writer_open(&c.writer, o->out, &plan, err);
    if (s)
        return s;
    say_resumed(q, c.writer);
    const uint64_t file_bytes = writer_file_bytes(c.writer);
    const double started = seconds_now();
    convert_heading(from.listener);
    s = convert_layers(&c, &q->calibration.text, &q->calibration.moments, err);
    c.moments = calibration_moments(&q->calibration);
    if (!s)
        s = convert_all(&c, err);
    const double seconds = seconds_now() - started;
    if (!s && q->eval.n)
        s = eval_run(&q->eval, &from, c.writer, err);
    if (!s)
        s = writer_finish(&c.writer, err);
    stop_writing(q, &c.writer, s);
    if (!s)
        print_summary(q, file_bytes, seconds);
    return s;
}

static enum bise_status run(struct quantize *q, struct bise_error *err) {
    const struct options *o = q->options;
    enum bise_status s = check_options(q, err);
    if (!s)
        s = open_source(q, err);
    if (!s && !o->no_tokenizer)
        s = bundle_open(&q->tokenizer, q->source, o->source, o->tokenizer, &q->listening.listener,
                        err);
    if (s)
        return s;
    bundle_settings(&q->tokenizer, &q->config);
    choose_chat(q);
    const struct origin from = origin(q);
    s = list_tensors(q, err);
    if (!s)
        s = calibration_open(&q->calibration, &o->calib, &from, err);
    if (!s)
        s = mix_apply(&q->types, o->sensitivity, &from, calibration_moments(&q->calibration),
                      q->tensors, q->n_tensors, err);
    if (!s && o->eval)
        s = eval_text_open(&q->eval, o->eval, &from, err);
    if (s)
        return s;
    s = o->dry_run ? only_say(q, err) : write_file(q, err);
    if (!s)
        note_chat(q);
    return s;
}

static int quantize(const struct options *o) {
    struct quantize q = {.options = o};
    struct bise_error err = {0};
    listening_init(&q.listening, o->quiet);
    interrupt_catch();
    const enum bise_status s = run(&q, &err);
    bundle_close(&q.tokenizer);
    source_close(&q.source);
    calibration_close(&q.calibration);
    eval_text_close(&q.eval);
    types_close(&q.types);
    free(q.shapes);
    free(q.tensors);
    if (s == BISE_ERR_INTERRUPTED) /* amid a text the detail counts one call's tokens */
        return report(s, NULL);
    return s ? report(s, &err) : EXIT_DONE;
}

static void calibration_option_defs(struct calibration_options *o, struct option_def *defs) {
    const struct option_def own[CALIBRATION_OPTIONS] = {
        {"--calib", OPT_STRING(&o->file), "FILE",
         "weight errors by the statistics of bise calibrate"},
        {"--calib-text", OPT_STRING(&o->text), "FILE",
         "run this text through the layers and round i4 with error feedback"},
        {"--calib-self", OPT_INT(&o->self, 1024, 1 << 20), "N",
         "the same with N tokens that the model writes"},
        {"--calib-tokens", OPT_INT(&o->tokens, 1024, 1 << 20), "N",
         "read at most N tokens of the text (16384)"},
    };
    memcpy(defs, own, sizeof own);
}

static void type_option_defs(struct options *all, struct option_def *defs) {
    struct type_options *const o = &all->types;
    const struct option_def mine[TYPE_OPTIONS] = {
        {"--type", OPT_STRING(&o->type), "TYPE", "i4 (default), i8, bf16 or f32"},
        {"--head", OPT_STRING(&o->head), "TYPE",
         "type of the output head (default: i8 with i4, else as --type)"},
        {"--embed", OPT_STRING(&o->embed), "TYPE", "type of the embeddings (default: likewise)"},
        {"--attention", OPT_STRING(&o->attention), "TYPE",
         "type of attention's matrices (default: as --type, but bf16 for a mixture in i8)"},
        {"--tensor", OPT_LIST(&all->rules), "REGEX=TYPE",
         "type of the matrices with such names; may be repeated, the last one wins"},
        {"--bits", OPT_FLOAT(&o->bits, 4.25, 8.25), "X",
         "bits per weight of the layers: i4, with i8 where it helps most"},
        {"--sensitivity", OPT_STRING(&all->sensitivity), "FILE",
         "measure on a text where that is (default: guessed)"},
    };
    memcpy(defs, mine, sizeof mine);
}

int cmd_quantize(int argc, char **argv) {
    struct options o = {0};
    struct option_def defs[TYPE_OPTIONS + CALIBRATION_OPTIONS + OWN_OPTIONS] = {
        {"-o|--output", OPT_STRING(&o.out), "FILE", "the .bise file to write"},
        {"--tokenizer", OPT_STRING(&o.tokenizer), "FILE",
         "tokenizer.model or tokenizer.json to bundle (default: the one beside the weights)"},
        {"--no-tokenizer", OPT_FLAG(&o.no_tokenizer), "bundle none"},
        {"--chat-format", OPT_STRING(&o.chat), "NAME",
         "v1, v3, chatml, zephyr, llama2 or none (default: guessed where certain)"},
        {"--window", OPT_INT(&o.window, 1, 1 << 30), "N",
         "sliding window, where the source does not say it (GGUF): 4096 for Mistral 7B v0.1"},
        {"--eval", OPT_STRING(&o.eval), "FILE",
         "measure perplexity on a text before and after, and keep it in the file"},
        {"--dry-run", OPT_FLAG(&o.dry_run), "say what it will take, and write nothing"},
        {"-t|--threads", OPT_INT(&o.threads, 1, 1024), "N", "threads (default: all that are fast)"},
        {"-q|--quiet", OPT_FLAG(&o.quiet), "only what is wrong on stderr"},
    };
    int code;
    type_option_defs(&o, defs + OWN_OPTIONS);
    calibration_option_defs(&o.calib, defs + OWN_OPTIONS + TYPE_OPTIONS);
    if (!options_parse(
            argc, argv, defs, sizeof defs / sizeof defs[0],
            "bise quantize SOURCE -o FILE [options]\n\n"
            "SOURCE: a folder with config.json and model.safetensors, pytorch_model.bin\n"
            "or their shards, or with params.json and consolidated.safetensors or\n"
            "consolidated.00.pth or consolidated.00.pt to .07.pt; or one such file; or a\n"
            ".gguf file; or a .bise file, or the name of one",
            &o.source, 1, &code))
        return code;
    if (!o.source || !o.out || !*o.out)
        return refuse(EXIT_USAGE, "%s\nusage: bise quantize SOURCE -o FILE [options]",
                      !o.source ? "no checkpoint given"
                      : !o.out  ? "-o FILE is needed"
                                : "-o: expected the name of a file, found none");
    o.called = o.out;
    char home[PATH_MAX], source[PATH_MAX]; /* a mere name lies in the models' home */
    o.source = model_or_source(source, o.source);
    const char *const dot = strrchr(o.out, '.');
    if ((!dot || strcmp(dot, ".bise") != 0) && models_home_file(home, o.out) && !o.dry_run) {
        if (!models_home_make())
            return refuse(EXIT_INPUT, "%s: the folder cannot be made", home);
        o.out = home;
        if (!o.quiet)
            say("writing %s\n", home);
    }
    o.types.rules = o.rules.items;
    o.types.n_rules = o.rules.n;
    return quantize(&o);
}
