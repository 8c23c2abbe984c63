#include "conversation.h"

#include "src/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int conversation_open(struct conversation *c, struct engine *e, enum chat_format format) {
    const struct bise_model_info *info = e->info;
    struct bise_error err = {0};
    c->engine = e;
    if (!e->model->tokenizer) {
        fprintf(stderr, "bise: %s: the model file has no tokenizer, so it cannot chat\n", e->path);
        return EXIT_USAGE;
    }
    const enum bise_status status = chat_open(&c->chat, e->model->tokenizer, format, info->bos_id,
                                              info->eos_ids, info->n_eos, &err);
    if (status)
        return report(status, &err);
    const char *end = chat_end_text(c->chat);
    if (end)
        stop_add(&c->stop, end);
    c->out = (struct text_out){
        .fd = STDOUT_FILENO, .strip_space = format != CHAT_NONE, .stop = &c->stop};
    return EXIT_DONE;
}

void conversation_close(struct conversation *c) {
    chat_close(&c->chat);
    constraint_close(&c->constraint);
    speculation_close(&c->speculation);
    free(c->held.ids);
    free(c->answer.ids);
    c->held = c->answer = (struct id_list){.n = 0};
}

static bool list_reserve(struct id_list *list, size_t n) {
    if (n <= list->cap)
        return true;
    const size_t cap = n + n / 2 + 256;
    int32_t *ids = realloc(list->ids, cap * sizeof *ids);
    if (!ids)
        return false;
    list->ids = ids;
    list->cap = cap;
    return true;
}

static bool keep_id(void *arg, int32_t id) {
    struct conversation *c = arg;
    /* The next answer's sync needs room in held, too: taken here, where it can still be refused. */
    if (!list_reserve(&c->answer, c->answer.n + 1) ||
        !list_reserve(&c->held, c->held.n + c->answer.n + 1))
        return false;
    c->answer.ids[c->answer.n++] = id;
    return true;
}

static void dump(const char *what, const int32_t *ids, size_t n) {
    fprintf(stderr, "%s:", what);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, " %d", ids[i]);
    fprintf(stderr, "\n");
}

/* Goes back to the first n ids; as far as it must where the cache no longer holds what n needs. */
static void go_back(struct conversation *c, size_t n) {
    if (n == c->held.n)
        return;
    if (bise_truncate(c->engine->session, n, NULL) != BISE_OK) {
        bise_reset(c->engine->session);
        n = 0;
    }
    c->held.n = n;
}

/* Makes the session hold the conversation, with the logits of its last id. */
static enum bise_status sync_session(struct conversation *c, struct bise_error *err) {
    const int32_t *ids;
    size_t n, common = 0;
    enum bise_status status = chat_ids(c->chat, &ids, &n, err);
    if (status)
        return status;
    if (c->dump_tokens)
        dump("prompt ids", ids, n);
    while (common < c->held.n && common + 1 < n && c->held.ids[common] == ids[common])
        common++;
    if (!list_reserve(&c->held, n)) {
        *err = (struct bise_error){.status = BISE_ERR_MEMORY};
        return BISE_ERR_MEMORY;
    }
    go_back(c, common);
    const size_t from = c->held.n;
    status = engine_prefill(c->engine, ids + from, n - from, err);
    const size_t done = (size_t)bise_position(c->engine->session);
    memcpy(c->held.ids + from, ids + from, (done - from) * sizeof *ids);
    c->held.n = done;
    for (size_t i = from; i < done; i++)
        bise_sampler_accept(c->sampler, ids[i]);
    return status;
}

/* How many ids of the answer lie wholly within the text shown: what a stop string cut is not kept.
 */
static size_t ids_shown(const struct conversation *c) {
    size_t bytes = 0, n = 0;
    for (; n < c->answer.n; n++) {
        size_t len;
        bise_token_piece(c->engine->model, c->answer.ids[n], &len);
        bytes += len;
        if (bytes > c->out.n_shown)
            break;
    }
    return n;
}

enum bise_status conversation_answer(struct conversation *c, enum finish *finish,
                                     struct bise_error *err) {
    enum bise_status status = sync_session(c, err);
    if (status) {
        chat_pop(c->chat);
        return status;
    }
    c->answer.n = 0;
    struct answer a = {
        .engine = c->engine,
        .sampler = c->sampler,
        .max_tokens = c->max_tokens,
        .constraint = c->constraint.grammar ? &c->constraint : NULL,
        .speculation = c->speculation.max ? &c->speculation : NULL,
        .on_id = keep_id,
        .id_arg = c,
        .out = &c->out,
    };
    a.end_ids = chat_end_ids(c->chat, &a.n_end);
    *finish = answer_run(&a);
    const size_t done = (size_t)bise_position(c->engine->session) - c->held.n;
    if (done) /* keep_id made room */
        memcpy(c->held.ids + c->held.n, c->answer.ids, done * sizeof *c->answer.ids);
    c->held.n += done;
    if (*finish == FINISH_STOP)
        c->answer.n = ids_shown(c);
    if (c->dump_tokens)
        dump("answer ids", c->answer.ids, c->answer.n);
    status = chat_add_answer(c->chat, c->answer.ids, c->answer.n, err);
    if (status)
        chat_pop(c->chat);
    return status;
}
