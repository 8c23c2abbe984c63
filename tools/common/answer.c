#include "tools/common/answer.h"

#include "src/base/error.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"
#include "tools/common/width.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTION 512

static void write_bytes(struct text_out *out, const char *bytes, size_t n) {
    if (!out->failed && n)
        out->failed = !write_whole(out->fd, bytes, n);
}

/* Writes whole characters; what would steer the terminal is shown as ^[ and the like. */
static void write_shown(struct text_out *out, const char *text, size_t n) {
    char shown[CHAR_SHOWN_MAX];
    size_t from = 0, len, n_shown;
    for (size_t at = 0; at < n; at += len) {
        len = char_length(text + at, n - at);
        if (text[at] == '\n' || text[at] == '\t' ||
            !code_is_control(utf8_code_point(text + at, len)))
            continue;
        char_shown(text + at, len, shown, &n_shown);
        write_bytes(out, text + from, at - from);
        write_bytes(out, shown, n_shown);
        from = at + len;
    }
    write_bytes(out, text + from, n - from);
}

static void write_out(struct text_out *out, const char *text, size_t n) {
    if (out->terminal)
        write_shown(out, text, n);
    else
        write_bytes(out, text, n);
}

static void write_all(struct text_out *out, const char *text, size_t n) {
    if (n)
        out->last = text[n - 1];
    if (out->hold)
        buffer_put(out->hold, text, n);
    else
        write_out(out, text, n);
}

void text_out_begin(struct text_out *out) {
    out->utf8 = (struct utf8_stream){.n_tail = 0};
    out->n_bytes = out->n_shown = 0;
    out->last = 0;
    out->failed = false;
    out->terminal = isatty(out->fd);
    if (out->stop)
        stop_begin(out->stop);
}

static void put_portion(struct text_out *out, const char *bytes, size_t n) {
    char shown[PORTION + STOP_MAX_BYTES], text[UTF8_STREAM_ROOM(sizeof shown)];
    if (out->stop && out->stop->n) {
        n = stop_put(out->stop, bytes, n, shown);
        bytes = shown;
    }
    out->n_shown += n;
    write_all(out, text, utf8_stream_put(&out->utf8, bytes, n, text));
}

void text_out_put(struct text_out *out, const char *bytes, size_t n) {
    if (n && !out->n_bytes && out->strip_space && bytes[0] == ' ') {
        out->n_bytes = out->n_shown = 1;
        bytes++;
        n--;
    }
    out->n_bytes += n;
    for (size_t at = 0; at < n; at += PORTION)
        put_portion(out, bytes + at, n - at < PORTION ? n - at : PORTION);
}

void text_out_end(struct text_out *out) {
    char held[STOP_MAX_BYTES], text[UTF8_STREAM_ROOM(sizeof held)];
    if (out->stop) {
        const size_t n = stop_end(out->stop, held);
        write_all(out, text, utf8_stream_put(&out->utf8, held, n, text));
    }
    write_all(out, text, utf8_stream_end(&out->utf8, text));
}

void text_out_release(struct text_out *out) {
    write_out(out, out->hold->bytes, out->hold->len);
    buffer_clear(out->hold);
}

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
    if ((from->grammar != NULL) + (from->grammar_file != NULL) + (schema != NULL) > 1) {
        fprintf(stderr, "bise: expected one of --grammar, --grammar-file and --json-schema\n");
        return EXIT_USAGE;
    }
    const int code = file ? read_text(file, &from_file, &len) : EXIT_DONE;
    if (code)
        return code;
    text = file ? from_file : text;
    enum bise_status status = schema
                                  ? bise_grammar_open_schema(&c->grammar, e->model, text, len, &err)
                                  : bise_grammar_open(&c->grammar, e->model, text, len, &err);
    free(from_file);
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

static void print_id(struct answer *a, int32_t id, int64_t number) {
    char text[16];
    const int n = snprintf(text, sizeof text, number ? " %d" : "%d", id);
    text_out_put(a->out, text, (size_t)n);
}

const char *finish_name(enum finish finish) {
    static const char *const names[] = {
        [FINISH_END] = "end",       [FINISH_STOP] = "stop",
        [FINISH_LENGTH] = "length", [FINISH_CONTEXT] = "context",
        [FINISH_OUTPUT] = "output", [FINISH_INTERRUPTED] = "interrupted",
        [FINISH_ERROR] = "error",
    };
    return names[finish];
}

static bool is_end(const struct answer *a, int32_t id) {
    for (size_t i = 0; i < a->n_end; i++)
        if (a->end_ids[i] == id)
            return true;
    return false;
}

/* The next id, in *id. */
static enum bise_status pick(struct answer *a, int32_t *id, struct bise_error *err) {
    const float *logits =
        a->speculation ? speculation_logits(a->speculation) : bise_logits(a->runtime->session);
    struct constraint *c = a->constraint;
    if (!c) {
        *id = bise_sample(a->sampler, logits);
        return BISE_OK;
    }
    const enum bise_status status = bise_grammar_allowed(c->grammar, c->allowed, err);
    if (status)
        return status;
    for (size_t i = 0; i < a->n_end && bise_grammar_may_end(c->grammar); i++)
        c->allowed[a->end_ids[i]] = 1;
    *id = bise_sample_allowed(a->sampler, logits, c->allowed);
    return is_end(a, *id) ? BISE_OK : bise_grammar_accept(c->grammar, *id, err);
}

static enum finish fail(struct answer *a, enum bise_status status, const struct bise_error *err) {
    a->error = status;
    fprintf(stderr, "\n");
    report(status, err);
    return FINISH_ERROR;
}

static enum finish generate(struct answer *a) {
    struct bise_error err = {0};
    for (int64_t i = 0; a->max_tokens < 0 || i < a->max_tokens; i++) {
        int32_t id;
        size_t n;
        enum bise_status status = pick(a, &id, &err);
        if (!status && a->on_id && !a->on_id(a->id_arg, id))
            status = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the conversation");
        if (status)
            return fail(a, status, &err);
        if (is_end(a, id))
            return FINISH_END;
        const char *piece = bise_token_piece(a->runtime->model, id, &n);
        if (a->print_ids)
            print_id(a, id, i);
        else if (piece)
            text_out_put(a->out, piece, n);
        if (a->out->failed)
            return FINISH_OUTPUT;
        if (a->out->stop && a->out->stop->hit)
            return FINISH_STOP;
        if (interrupted())
            return FINISH_INTERRUPTED;
        if (i + 1 == a->max_tokens)
            break;
        status = a->speculation ? speculation_step(a->speculation, id, &err)
                                : runtime_decode(a->runtime, id, &err);
        if (status == BISE_ERR_CONTEXT && a->on_full && a->on_full(a->id_arg))
            status = runtime_decode(a->runtime, id, &err);
        if (status == BISE_ERR_CONTEXT)
            return FINISH_CONTEXT;
        if (status)
            return fail(a, status, &err);
    }
    return FINISH_LENGTH;
}

enum finish answer_run(struct answer *a) {
    text_out_begin(a->out);
    if (a->constraint)
        bise_grammar_begin(a->constraint->grammar, a->out->strip_space);
    if (a->speculation)
        speculation_begin(a->speculation);
    const enum finish finish = generate(a);
    if (a->speculation)
        speculation_end(a->speculation);
    text_out_end(a->out);
    if (a->out->failed)
        return interrupted_again() ? FINISH_INTERRUPTED : FINISH_OUTPUT;
    return finish;
}
