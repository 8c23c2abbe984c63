/* Moderation beside the answers: a thread and a session of its own, which judge requests' prompts
 * and whole answers, and texts sent to /v1/moderations. */
#ifndef BISE_TOOLS_SERVE_JUDGE_H
#define BISE_TOOLS_SERVE_JUDGE_H

#include "tools/serve/server.h"

/* Returns an exit code, the fault said on stderr; judge_stop and judge_close are due in any case.
 */
int judge_open(struct server *s);
/* Ends the thread, and what it is at. Then: frees what it had. */
void judge_stop(struct server *s);
void judge_close(struct server *s);
/* The call's client has left: what is being judged for it need not be. Accepts a server without. */
void judge_left(struct server *s, const struct call *c);
/* Each takes a reference of the call. A request of /v1/moderations, its body whole. */
void judge_put_request(struct server *s, struct call *c);
/* A call that is prepared and admitted: goes on to the schedule, or ends by content_filter. */
void judge_put_prompt(struct server *s, struct call *c);
/* A choice whose answer is whole: comes back to the schedule by schedule_judged. */
void judge_put_answer(struct server *s, struct choice *ch);

#endif
