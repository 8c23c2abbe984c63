/* What the quantizer says, as commands show it. */
#ifndef BISE_TOOLS_CMD_LISTENING_H
#define BISE_TOOLS_CMD_LISTENING_H

#include "quant/base/listener.h"
#include "tools/common/progress.h"

struct listening {
    struct listener listener; /* notes on stderr; progress on a terminal, details elsewhere */
    struct progress bar;
    struct listener_work work; /* what goes on; what NULL: nothing */
    bool quiet;                /* nothing of it is shown */
};

/* *l must stay where it is as long as its listener is used. */
void listening_init(struct listening *l, bool quiet);

#endif
