/*
 * Conversations with tools in the V3 format, token by token as Mistral's own tokenizer renders
 * them:
 *
 * BOS, then for each part
 *   a user's text    [INST] enc(text) [/INST], the last one's behind
 *                    [AVAILABLE_TOOLS] enc(list) [/AVAILABLE_TOOLS] and with the system prompt and
 *                    an empty line in front of its text
 *   an answer        enc(text without trailing spaces) EOS
 *   calls            [TOOL_CALLS] enc(list) EOS
 *   a call's result  [TOOL_RESULTS] enc(object) [/TOOL_RESULTS]
 *
 * JSON is written as Python's json.dumps writes it with ensure_ascii off: ", " and ": " between the
 * parts, keys in the order given, numbers as they were.
 */
#ifndef BISE_SRC_TEXT_CHAT_TOOLS_H
#define BISE_SRC_TEXT_CHAT_TOOLS_H

#include "src/base/json.h"

struct tokenizer;

/* ---- texts ---- */

/* Bytes that grow. Starts zeroed; text is the caller's to free. */
struct tool_text {
    char *text; /* [len] */
    size_t len, cap;
    bool failed; /* there was no memory */
};

/* n bytes as they are. */
void tool_text_put(struct tool_text *t, const char *bytes, size_t n);
/* A value. */
void tool_text_json(struct tool_text *t, const struct json_value *v);
/* A string with its quotes. */
void tool_text_string(struct tool_text *t, const char *string, size_t len);

/* One call or result goes behind those that are there: arguments and content are JSON where they
 * parse as such, else (a result's content) a string. id may be NULL. Errors: FORMAT (arguments that
 * are no JSON object), MEMORY. */
enum bise_status tool_text_call(struct tool_text *t, const struct json_value *name,
                                const struct json_value *arguments, const struct json_value *id,
                                struct bise_error *err);
enum bise_status tool_text_result(struct tool_text *t, const char *content, size_t len,
                                  const struct json_value *call_id, struct bise_error *err);
/* A tool of a request's list: {"type": "function", "function": {"name", "description",
 * "parameters"}}. */
void tool_text_tool(struct tool_text *t, const struct json_value *function);

/* ---- ids ---- */

enum chat_part_kind { PART_USER, PART_ANSWER, PART_CALLS, PART_RESULT };

struct chat_part {
    enum chat_part_kind kind;
    const char *text; /* [len], the caller's; of calls and results the JSON */
    size_t len;
};

struct chat_tools {
    const struct tokenizer *tokenizer;
    int32_t bos, eos;
    int32_t inst, inst_end, tools, tools_end, calls, results, results_end; /* -1: none */
};

/* Errors: UNSUPPORTED (V3's control pieces for users' messages are missing). */
enum bise_status chat_tools_open(struct chat_tools *c, const struct tokenizer *tokenizer,
                                 int32_t bos, int32_t eos, struct bise_error *err);
/* Whether the vocabulary has the pieces for tools. */
bool chat_tools_known(const struct chat_tools *c);

/* What is rendered besides the parts. */
struct chat_frame {
    const char *system; /* [system_len]; NULL: none */
    size_t system_len;
    const char *tools; /* [tools_len], the list; NULL: none */
    size_t tools_len;
    bool last_is_open; /* an answer at the end is gone on with: no EOS behind it */
    bool more_follows; /* as if another user's message came: system and tools are left out */
};

/* Ids of the parts [n], malloc'd, the caller's. Errors: ARG (invalid UTF-8), MEMORY. */
enum bise_status chat_tools_ids(const struct chat_tools *c, const struct chat_part *parts, size_t n,
                                const struct chat_frame *frame, int32_t **ids, size_t *n_ids,
                                struct bise_error *err);

#endif
