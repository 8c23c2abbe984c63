/* One line for each request, on standard error: never a text of a client. */
#ifndef BISE_TOOLS_SERVE_LOG_H
#define BISE_TOOLS_SERVE_LOG_H

#include "tools/serve/call.h"

struct log_line {
    const char *peer, *method, *path; /* path without query; may hold anything */
    int status;                       /* 0: none was sent */
    bool was_cut;                     /* the client left, or was let go, before the end */
    double seconds;
    const struct call *call; /* NULL: none was made */
};

/* Whether a line can be written at once. Who reads the log (a terminal that was stopped, a pager)
 * must not stop the server: lines that find no room are lost, and counted for the next one. */
bool log_has_room(void);
void log_request(const struct log_line *l, bool as_json);

#endif
