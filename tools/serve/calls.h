/* Calls of tools: the schema that holds them to the tools' own, and calls read out of answers. */
#ifndef BISE_TOOLS_SERVE_CALLS_H
#define BISE_TOOLS_SERVE_CALLS_H

#include "tools/serve/request.h"

#define CALLS_ID_LENGTH 9

/* The JSON Schema of the list of calls that the request allows. False without memory. */
bool calls_schema(const struct request *r, struct tool_text *out);

/* Reads a list of calls on its way in. Starts zeroed. */
struct calls_reader {
    struct tool_text text; /* all that came; the caller frees text.text */
    size_t at, begin;      /* looked at so far; where the call that is open begins */
    unsigned depth;
    bool quoted, escaped;
};

struct call_read {
    struct json *json;             /* the caller's to close */
    const struct json_value *name; /* a string */
    struct tool_text arguments;    /* as JSON; the caller frees it */
};

/* Takes the next bytes. */
void calls_put(struct calls_reader *c, const char *bytes, size_t n);
/* The next call that is whole. False: there is none yet, or it is no call. */
bool calls_next(struct calls_reader *c, struct call_read *call);

/* The id of call number i of an answer: nine letters and digits that follow from the prompt's ids
 * and the seed. id [CALLS_ID_LENGTH + 1]. */
void calls_id(const int32_t *ids, size_t n, uint64_t seed, size_t i, char *id);

#endif
