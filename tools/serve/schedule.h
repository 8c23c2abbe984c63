/*
 * The engine's thread: which answers have a sequence, and what each step of the engine reads and
 * writes. A step holds the next token of every answer that is being written and a chunk of the
 * oldest prompt that is being read, so long that the others' wait stays within --stall.
 */
#ifndef BISE_TOOLS_SERVE_SCHEDULE_H
#define BISE_TOOLS_SERVE_SCHEDULE_H

#include "tools/serve/server.h"

/* False without memory or threads. */
bool schedule_open(struct server *s);
/* Takes a reference of a call that has been prepared and admitted. */
void schedule_put(struct server *s, struct call *c);
/* A choice comes back from moderation. */
void schedule_judged(struct server *s, struct choice *ch, bool filtered);
/* What the lane's next prompt will begin with; ids, malloc'd, become the schedule's. */
void schedule_foreseen(struct server *s, uint32_t lane, uint64_t stamp, int32_t *ids, size_t n);
/* There is something to look at: a client has left, a reader has caught up. */
void schedule_poke(struct server *s);
/* Ends the thread; answers that are not finished end as they are. Then: frees what it had. */
void schedule_stop(struct server *s);
void schedule_close(struct server *s);

#endif
