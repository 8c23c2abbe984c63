/* Answers as their clients read them: chunks of a stream, or one object when all is written. */
#ifndef BISE_TOOLS_SERVE_ANSWER_H
#define BISE_TOOLS_SERVE_ANSWER_H

#include "tools/serve/call.h"

/* What every answer says of the server. */
struct answer_facts {
    const char *model; /* its name */
    bool hold_back;    /* with moderation nothing is shown before all is judged */
};

/* The call has been prepared and queued: 200, and in a stream its first comment. */
void answer_begin(struct call *c);
/* What the choice's author has written since goes out, or is kept. */
void answer_advance(struct choice *ch, const struct answer_facts *facts);
/* The prompt's text comes first, as "echo" asks for. */
void answer_echo(struct choice *ch);
/* What was held back of the choice is not to be shown. */
void answer_withhold(struct choice *ch);
/* The choice has ended (its author's ending is set). */
void answer_end_choice(struct choice *ch, const struct answer_facts *facts);
/* All choices have: usage, the end of the stream, or the whole object. */
void answer_finish(struct call *c, const struct answer_facts *facts);

/* A reply that is one JSON object. */
void answer_object(struct call *c, const struct buffer *json);

#endif
