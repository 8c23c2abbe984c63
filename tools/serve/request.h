/*
 * A request's body as a struct: which fields are known, what their values may be, what is refused
 * by name. Untrusted: fuzzed by tests/fuzz/fuzz_request.c. A request is a function of its text
 * alone.
 */
#ifndef BISE_TOOLS_SERVE_REQUEST_H
#define BISE_TOOLS_SERVE_REQUEST_H

#include "src/base/json.h"
#include "src/text/chat_tools.h"
#include "src/text/stop.h"
#include "tools/serve/fault.h"

enum endpoint {
    ENDPOINT_CHAT,
    ENDPOINT_COMPLETIONS,
    ENDPOINT_TOKENIZE,
    ENDPOINT_DETOKENIZE,
    ENDPOINT_MODERATIONS,
    ENDPOINT_COUNT
};

#define REQUEST_MAX_DEPTH   64
#define REQUEST_MAX_VALUES  100000u
#define REQUEST_MAX_CHOICES 64
#define REQUEST_MAX_TOP     20         /* logprobs of alternatives */
#define REQUEST_MAX_SOURCE  65536u     /* bytes of a schema or grammar */
#define REQUEST_MAX_TEXT    (2u << 20) /* bytes that are tokenized */
#define REQUEST_MAX_TOOLS   128
#define REQUEST_MAX_BIAS    1024
#define REQUEST_MAX_UNKNOWN 8

enum tool_choice { TOOLS_NONE, TOOLS_AUTO, TOOLS_REQUIRED, TOOLS_NAMED };
enum reply_format { REPLY_TEXT, REPLY_OBJECT, REPLY_SCHEMA, REPLY_GRAMMAR };
enum full_context { FULL_STOP, FULL_DROP, FULL_SINK };

/* Strings point into json or are owned; request_free frees all of it. */
struct request {
    struct json *json;
    enum endpoint endpoint;

    /* what is to be gone on with */
    struct chat_part *parts; /* [n_parts], their texts owned */
    size_t n_parts;
    struct tool_text system; /* "": none */
    bool goes_on;            /* the last part is an answer that is gone on with */
    bool has_calls;          /* or results: the format must have tools */
    struct tool_text text;   /* of completions and tokenize */
    int32_t *ids;            /* [n_ids], of completions and detokenize; NULL: text is given */
    size_t n_ids;
    enum full_context full;
    bool add_special;

    /* how */
    struct bise_sampler_params sampling; /* seed: where has_seed; bias points to bias */
    struct bise_logit_bias bias[REQUEST_MAX_BIAS];
    bool has_seed;
    int64_t max_tokens; /* -1: as many as fit */
    uint32_t n;         /* choices */
    const char *stops[STOP_MAX_TEXTS];
    size_t n_stops;
    enum reply_format format;
    const struct json_value *schema;                   /* REPLY_SCHEMA */
    const struct json_value *grammar;                  /* REPLY_GRAMMAR, a string */
    const struct json_value *tools[REQUEST_MAX_TOOLS]; /* [n_tools] their "function" objects */
    size_t n_tools;
    enum tool_choice tool_choice;
    size_t named; /* TOOLS_NAMED: which */
    bool parallel_calls;

    /* as what */
    bool stream, include_usage, logprobs, echo;
    bool use_cache; /* what is held of the prompt is not read again */
    uint32_t top_logprobs;

    char unknown[REQUEST_MAX_UNKNOWN][40]; /* [n_unknown] fields that were left out */
    size_t n_unknown;
};

/* What of the model a request is checked against. */
struct request_facts {
    uint32_t vocab_size;
    bool can_sink;          /* the server was opened with --overflow sink */
    enum full_context full; /* where the request does not say */
};

/* Reads body [len]. r is to be given to request_free in any case. */
bool request_read(struct request *r, enum endpoint endpoint, const char *body, size_t len,
                  const struct request_facts *facts, struct fault *f);
void request_free(struct request *r);

/* "messages" of a request, in request_messages.c. */
bool request_read_messages(struct request *r, const struct json_value *messages, bool guard,
                           struct fault *f);
/* A content: a string, parts of type text, or null; appended to t. */
bool request_read_content(const struct json_value *content, const char *name, struct tool_text *t,
                          struct fault *f);
/* "tools", "tool_choice" and "parallel_tool_calls", in request_tools.c. */
bool request_read_tools(struct request *r, const struct json_value *root, struct fault *f);

/* Shared by the three: "NAME: expected WHAT, found a string". */
bool request_expected(struct fault *f, const char *name, const char *what,
                      const struct json_value *found);
/* The member, NULL where it is absent or null. */
const struct json_value *request_get(const struct json_value *object, const char *key);

#endif
