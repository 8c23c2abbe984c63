#include "tools/chat/jsonl.h"

#include "src/base/error.h"
#include "src/base/json.h"
#include "tools/common/guard.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_error(struct buffer *out, enum bise_status status, const struct bise_error *err) {
    const char *detail = err->detail[0] ? err->detail : bise_strerror(status);
    buffer_text(out, "{\"error\": ");
    buffer_json(out, detail, strlen(detail));
    buffer_text(out, "}\n");
}

/* Answers the last message into out. */
static enum bise_status answer_last(struct console *t, struct buffer *out, struct bise_error *err) {
    struct conversation *c = &t->conversation;
    const size_t n_prompt = t->runtime.n_prompt;
    enum finish finish;
    buffer_clear(&t->held_answer);
    const enum bise_status status = conversation_answer(c, &finish, err);
    if (status)
        return status;
    if (finish == FINISH_ERROR || t->held_answer.failed)
        return bise_fail(err, BISE_ERR_MEMORY, "the answer broke off");
    buffer_text(out, "{\"role\": \"assistant\", \"content\": ");
    buffer_json(out, t->held_answer.bytes ? t->held_answer.bytes : "", t->held_answer.len);
    buffer_print(out, ", \"finish\": \"%s\", \"tokens\": %zu, \"prompt_tokens\": %zu}\n",
                 finish_name(finish), c->answer.n, t->runtime.n_prompt - n_prompt);
    return BISE_OK;
}

/* What a line says is done; what there is to tell is put into out. */
static enum bise_status obey_line(struct console *t, const struct json_value *line,
                                  struct buffer *out, struct bise_error *err) {
    const struct json_value *role = json_get(line, "role"), *content = json_get(line, "content");
    if (!content || content->kind != JSON_STRING)
        return bise_fail(err, BISE_ERR_ARG, "\"content\": expected a string, found %s",
                         json_describe(content));
    if (json_is(role, "system") && strlen(content->string) != content->len)
        return bise_fail(err, BISE_ERR_ARG, "\"content\": expected a system prompt without NULs");
    if (json_is(role, "system")) {
        const enum bise_status status =
            guard_set_system(t->conversation.chat, content->string, err);
        if (!status)
            buffer_text(out, "{\"role\": \"system\", \"ok\": true}\n");
        return status;
    }
    if (role && !json_is(role, "user"))
        return bise_fail(err, BISE_ERR_ARG, "\"role\": expected \"user\" or \"system\"");
    const enum bise_status status =
        chat_add(t->conversation.chat, CHAT_USER, content->string, content->len, err);
    return status ? status : answer_last(t, out, err);
}

/* False where the line could not be answered. */
static bool take_line(struct console *t, const char *line, size_t len, size_t number,
                      struct buffer *out) {
    struct json *json = NULL;
    struct bise_error err = {0};
    char name[32];
    snprintf(name, sizeof name, "line %zu", number);
    enum bise_status status = json_parse(&json, line, len, name, &err);
    if (!status)
        status = obey_line(t, json_root(json), out, &err);
    if (status)
        put_error(out, status, &err);
    json_close(&json);
    return !status;
}

int console_jsonl(struct console *t) {
    struct buffer out = {.len = 0};
    char *line = NULL;
    size_t cap = 0, len, number = 0;
    int code = EXIT_DONE, error = 0;
    bool all_good = true;
    setvbuf(stdin, NULL, _IONBF, 0); /* what is not read yet is to be seen by poll */
    interrupt_catch_all();
    t->conversation.out.hold = &t->held_answer;
    if (chat_messages(t->conversation.chat) % 2) {
        say("the last message had no answer yet: it is taken back\n");
        chat_pop(t->conversation.chat);
    }
    while (!code && input_or_interrupt(STDIN_FILENO) &&
           read_text_line(stdin, &line, &cap, &len, &error)) {
        number++;
        if (strspn(line, " \t\r\n") == len)
            continue;
        buffer_clear(&out);
        all_good &= take_line(t, line, len, number, &out);
        interrupt_clear();
        if (out.failed)
            code = report(BISE_ERR_MEMORY, NULL);
        else if (!write_whole(STDOUT_FILENO, out.bytes, out.len))
            code = output_exit_code();
    }
    if (error)
        code = refuse(error == ENOMEM ? EXIT_MEMORY : EXIT_INPUT, "reading standard input: %s",
                      strerror(error));
    free(line);
    buffer_free(&out);
    if (!code && !all_good)
        code = EXIT_FAILED;
    return interrupted() ? EXIT_INTERRUPTED : code;
}
