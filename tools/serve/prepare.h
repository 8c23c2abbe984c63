/* The thread that makes requests of bodies: JSON, rendering, tokenizing, compiling schemas, so that
 * none of it delays another's tokens. */
#ifndef BISE_TOOLS_SERVE_PREPARE_H
#define BISE_TOOLS_SERVE_PREPARE_H

#include "tools/serve/server.h"

/* False, said on stderr, without memory or threads. */
bool prepare_open(struct server *s);
/* Takes a reference of the call, whose body is whole. False: too many wait already. */
bool prepare_put(struct server *s, struct call *c);
/* What follows the call's answer is to be foreseen for a lane, told to the schedule with this
 * stamp. Takes a reference of the call, and text, malloc'd. */
void prepare_foresee(struct server *s, struct call *c, char *text, size_t len, bool calls,
                     uint32_t lane, uint64_t stamp);
/* Ends the thread; what is put from here on waits in vain. Then: drops the calls that wait. */
void prepare_stop(struct server *s);
void prepare_close(struct server *s);

/* Makes choices of a call that has been read; in the thread, and in tests. */
bool prepare_call(struct server *s, struct call *c, struct fault *f);

#endif
