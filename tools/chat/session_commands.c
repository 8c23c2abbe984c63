#include "tools/chat/session_commands.h"

#include "tools/chat/transcript.h"
#include "tools/common/output.h"

#include <string.h>

/* Without a name: the session's own file. With one: a copy, which the chat goes on in if it had no
 * file before. */
enum command_result do_save(struct console *t, const char *arg) {
    struct session_store *store = &t->store;
    const bool has_file = console_has_session(t);
    if (!*arg && !has_file) {
        say("there is no session file yet: /save FILE makes one\n");
        return COMMAND_FAILED;
    }
    if (!*arg || (has_file && strcmp(arg, store->path) == 0))
        return session_store_save(store, false) == EXIT_DONE ? COMMAND_DONE : COMMAND_FAILED;
    if (session_store_copy(&t->conversation, t->format, arg) != EXIT_DONE)
        return COMMAND_FAILED;
    if (has_file)
        return COMMAND_DONE;
    session_store_close(store); /* a kept chat ends here */
    t->keeps = false;
    if (session_store_adopt(store, &t->conversation, t->format, arg) != EXIT_DONE)
        return COMMAND_FAILED;
    say("the chat goes on there; it is saved again when you leave\n");
    return COMMAND_DONE;
}

enum command_result do_load(struct console *t, const char *arg) {
    struct conversation *c = &t->conversation;
    if (!*arg) {
        say("/load needs the name of a session's file\n");
        return COMMAND_FAILED;
    }
    if (console_has_session(t) && strcmp(arg, t->store.path) == 0) {
        say("%s is the session of this chat\n", arg);
        return COMMAND_DONE;
    }
    if (!t->store.path && chat_messages(c->chat)) {
        say("what was said here is in no file: /save it first, or /clear it\n");
        return COMMAND_FAILED;
    }
    if (session_store_check(c, t->format, arg) != EXIT_DONE ||
        console_leave_session(t) != EXIT_DONE)
        return COMMAND_FAILED;
    t->keeps = false;
    conversation_clear(c);
    if (session_store_open(&t->store, c, t->format, arg, true, false, false) != EXIT_DONE) {
        conversation_clear(c);
        return COMMAND_FAILED;
    }
    console_take_seed(t);
    return chat_messages(c->chat) % 2 ? COMMAND_ANSWER : COMMAND_DONE;
}

enum command_result do_export(struct console *t, const char *arg) {
    struct transcript transcript;
    if (!*arg) {
        say("/export needs a file that ends in .md, .json or .txt\n");
        return COMMAND_FAILED;
    }
    int code = EXIT_MEMORY;
    if (transcript_take(&transcript, t->runtime.model, t->format, t->conversation.chat))
        code = transcript_export(&transcript, arg);
    else
        report(BISE_ERR_MEMORY, NULL);
    transcript_free(&transcript);
    return code ? COMMAND_FAILED : COMMAND_DONE;
}

/* What has left the window's reach, or the context. */
static void tell_reach(const struct console *t, size_t n) {
    const struct bise_session *session = t->runtime.session;
    const struct bise_plan *plan = bise_session_plan(session);
    const uint64_t reach = bise_reach(session);
    char sinks[48] = "";
    if (plan->n_sinks)
        snprintf(sinks, sizeof sinks, "the first %u and ", plan->n_sinks);
    say("each of %u layers sees %sthe last %u, all together %sthe last %llu, so it may go on "
        "without end; ",
        t->runtime.info->n_layers, sinks, plan->window, sinks, (unsigned long long)reach);
    if (n <= reach + plan->n_sinks) {
        say("all of it is within reach\n");
        return;
    }
    const size_t beyond = n - (size_t)reach;
    if (plan->n_sinks) {
        say("those from %u to %zu have left it\n", plan->n_sinks, beyond - 1);
        return;
    }
    const size_t messages = chat_messages_within(t->conversation.chat, beyond);
    say("the first %zu, and so %zu whole message%s, have left it\n", beyond, messages,
        messages == 1 ? "" : "s");
}

enum command_result do_context(struct console *t, const char *arg) {
    const struct bise_plan *plan = bise_session_plan(t->runtime.session);
    const size_t dropped = chat_dropped(t->conversation.chat);
    struct bise_error err = {0};
    const int32_t *ids;
    size_t n;
    (void)arg;
    const enum bise_status status = chat_ids(t->conversation.chat, &ids, &n, &err);
    if (status) {
        report(status, &err);
        return COMMAND_DONE;
    }
    if (dropped)
        say("%zu earlier messages are left out: the model no longer sees them\n", dropped);
    say("the conversation has %zu tokens; ", n);
    if (plan->window)
        tell_reach(t, n);
    else
        say("the context holds %u\n", plan->n_ctx);
    return COMMAND_DONE;
}
