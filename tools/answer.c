#include "answer.h"

#include "progress.h"

#include <errno.h>
#include <unistd.h>

#define PORTION 512

static void write_all(struct text_out *out, const char *bytes, size_t n) {
    if (n)
        out->last = bytes[n - 1];
    while (n && !out->failed) {
        const ssize_t put = write(out->fd, bytes, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            if (errno != EPIPE)
                fprintf(stderr, "bise: writing the answer failed\n");
            out->failed = true;
            return;
        }
        bytes += put;
        n -= (size_t)put;
    }
}

void text_out_begin(struct text_out *out) {
    out->utf8 = (struct utf8_stream){.n_tail = 0};
    out->n_bytes = out->n_shown = 0;
    out->last = 0;
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

static void print_id(struct answer *a, int32_t id, int64_t number) {
    char text[16];
    const int n = snprintf(text, sizeof text, number ? " %d" : "%d", id);
    text_out_put(a->out, text, (size_t)n);
}

static enum finish generate(struct answer *a) {
    struct bise_error err = {0};
    for (int64_t i = 0; a->max_tokens < 0 || i < a->max_tokens; i++) {
        const int32_t id = bise_sample(a->sampler, bise_logits(a->engine->session));
        size_t n;
        const char *piece = bise_token_piece(a->engine->model, id, &n);
        if (a->on_id && !a->on_id(a->id_arg, id)) {
            a->error = BISE_ERR_MEMORY;
            report(a->error, NULL);
            return FINISH_ERROR;
        }
        if (a->is_end && a->is_end(a->end_arg, id))
            return FINISH_END;
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
        a->error = engine_decode(a->engine, id, &err);
        if (a->error == BISE_ERR_CONTEXT)
            return FINISH_CONTEXT;
        if (a->error) {
            fprintf(stderr, "\n");
            report(a->error, &err);
            return FINISH_ERROR;
        }
    }
    return FINISH_LENGTH;
}

enum finish answer_run(struct answer *a) {
    text_out_begin(a->out);
    const enum finish finish = generate(a);
    text_out_end(a->out);
    return a->out->failed ? FINISH_OUTPUT : finish;
}
