#include "tools/chat/conversation.h"

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int conversation_possible(const struct runtime *e) {
    if (e->info->has_tokenizer)
        return EXIT_DONE;
    return refuse(EXIT_USAGE, "%s: the model file has no tokenizer, so it cannot chat", e->path);
}

int conversation_open(struct conversation *c, struct runtime *e, enum chat_format format) {
    const struct bise_model_info *info = e->info;
    struct bise_error err = {0};
    c->runtime = e;
    c->stop.n = 0;
    const int code = conversation_possible(e);
    if (code)
        return code;
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

void conversation_clear(struct conversation *c) {
    chat_clear(c->chat);
    (void)chat_set_system(c->chat, "", 0, NULL);
    bise_reset(c->runtime->session);
    c->held.n = 0;
}

bool conversation_set_held(struct conversation *c, const uint8_t *ids, size_t n) {
    if (!id_list_reserve(&c->held, n))
        return false;
    for (size_t i = 0; i < n; i++)
        c->held.ids[i] = (int32_t)get_u32(ids + 4 * i);
    c->held.n = n;
    return true;
}

static bool keep_id(void *arg, int32_t id, const float *logits) {
    struct conversation *c = arg;
    (void)logits;
    return id_list_add(&c->answer, id);
}

static void dump(const char *what, const int32_t *ids, size_t n) {
    say("%s:", what);
    for (size_t i = 0; i < n; i++)
        say(" %d", ids[i]);
    say("\n");
}

/* First id that matters to the logits after n ids: with a window those before it are out of reach
 * of every layer. */
static size_t first_needed(const struct conversation *c, size_t n) {
    const uint64_t reach = bise_reach(c->runtime->session);
    return n > reach ? n - (size_t)reach : 0;
}

/* Brings the session to hold the first ids of n that are to be run, as few as give the bits that
 * reading all of them would (in the same calls): of those it holds, common are the same. */
static void go_back(struct conversation *c, size_t common, size_t n) {
    struct bise_session *s = c->runtime->session;
    const size_t sinks = bise_session_plan(s)->n_sinks;
    size_t needed = first_needed(c, n);
    if (common < sinks || needed < sinks)
        needed = 0; /* the sinks themselves are to be read, and all that comes after them */
    if (bise_seq_start(bise_session_engine(s), 0) <= needed && common >= needed &&
        bise_truncate(s, common, NULL) == BISE_OK) {
        c->held.n = common;
        return;
    }
    if (needed == 0 || bise_reset_at(s, needed, NULL) != BISE_OK)
        bise_reset(s);
    c->held.n = (size_t)bise_position(s);
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
    if (!id_list_reserve(&c->held, n))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
    go_back(c, common, n);
    const size_t from = c->held.n;
    memcpy(c->held.ids, ids, from * sizeof *ids);
    const double before = c->runtime->prompt_seconds;
    status = runtime_prefill(c->runtime, ids + from, n - from, err);
    if (!status && c->reads_anew)
        say("(what was said, and your message: %zu tokens read in %.2f s)\n", n - from,
            c->runtime->prompt_seconds - before);
    c->reads_anew = c->reads_anew && status;
    const size_t done = (size_t)bise_position(c->runtime->session);
    memcpy(c->held.ids + from, ids + from, (done - from) * sizeof *ids);
    c->held.n = done;
    return status;
}

/* How many ids of the answer lie wholly within the text shown: what a stop string cut is not kept.
 */
static size_t ids_shown(const struct conversation *c) {
    size_t bytes = 0, n = 0;
    for (; n < c->answer.n; n++) {
        size_t len;
        bise_token_piece(c->runtime->model, c->answer.ids[n], &len);
        bytes += len;
        if (bytes > c->out.n_shown)
            break;
    }
    return n;
}

/* Leaves turns out so that the conversation, n_answer ids of an answer and one more fit; all that
 * is left out is told. False, nothing changed, where that cannot be or is not wanted. */
static bool make_room(struct conversation *c, size_t n_answer) {
    const size_t n_ctx = bise_session_plan(c->runtime->session)->n_ctx;
    const size_t before = chat_dropped(c->chat);
    enum overflow how = c->overflow;
    const int32_t *ids;
    size_t n_before, n, last;
    if (how == OVERFLOW_ASK)
        how = c->ask_overflow ? c->ask_overflow(c->ask_arg, n_answer > 0) : OVERFLOW_STOP;
    if (how == OVERFLOW_STOP || chat_ids(c->chat, &ids, &n_before, NULL) != BISE_OK)
        return false;
    const size_t most = how == OVERFLOW_NEW || n_answer >= n_ctx / 2 ? 0 : n_ctx / 2 - n_answer;
    do {
        last = chat_dropped(c->chat);
        chat_set_dropped(c->chat, chat_drop_for(c->chat, most));
        if (chat_dropped(c->chat) == last || chat_ids(c->chat, &ids, &n, NULL) != BISE_OK) {
            chat_set_dropped(c->chat, before);
            return false;
        }
    } while (n + n_answer >= n_ctx);
    const size_t turns = (chat_dropped(c->chat) - before) / 2;
    say("(the context of %zu tokens is full: the oldest %zu turn%s, %zu tokens, %s left out; "
        "the model no longer sees %s)\n",
        n_ctx, turns, turns == 1 ? "" : "s", n_before - n, turns == 1 ? "is" : "are",
        turns == 1 ? "it" : "them");
    return true;
}

/* The context is full in the middle of an answer: its text is put together anew. */
static bool go_on(void *arg, struct generator *g) {
    struct conversation *c = arg;
    const int32_t *ids;
    const size_t n_answer = c->answer.n;
    size_t n, common = 0;
    if (!make_room(c, n_answer) || chat_ids(c->chat, &ids, &n, NULL) != BISE_OK ||
        !id_list_reserve(&c->held, n + n_answer))
        return false;
    while (common < g->held && common < n && c->held.ids[common] == ids[common])
        common++;
    go_back(c, common, n + n_answer);
    memcpy(c->held.ids, ids, n * sizeof *ids);
    memcpy(c->held.ids + n, c->answer.ids, n_answer * sizeof *ids);
    const size_t held = c->held.n;
    c->held.n = n + n_answer;
    generator_resume(g, held);
    return true;
}

enum bise_status conversation_answer(struct conversation *c, enum finish *finish,
                                     struct bise_error *err) {
    enum bise_status status = sync_session(c, err);
    if (status == BISE_ERR_CONTEXT && make_room(c, 0))
        status = sync_session(c, err);
    if (status) {
        chat_pop(c->chat);
        return status;
    }
    c->answer.n = 0;
    struct answer a = {
        .generator = {.sampler = c->sampler,
                      .speculation = c->speculation.max ? &c->speculation : NULL,
                      .grammar = c->constraint.grammar,
                      .allowed = c->constraint.allowed,
                      .ids = &c->held,
                      .max_tokens = c->max_tokens,
                      .on_id = keep_id,
                      .arg = c,
                      .out = &c->out},
        .runtime = c->runtime,
        .on_full = go_on,
        .full_arg = c,
    };
    a.generator.end_ids = chat_end_ids(c->chat, &a.generator.n_end);
    *finish = answer_run(&a, c->held.n);
    c->held.n = a.generator.held;
    if (*finish == FINISH_STOP)
        c->answer.n = ids_shown(c);
    if (c->dump_tokens)
        dump("answer ids", c->answer.ids, c->answer.n);
    status = chat_add_answer(c->chat, c->answer.ids, c->answer.n, err);
    if (status)
        chat_pop(c->chat);
    return status;
}
