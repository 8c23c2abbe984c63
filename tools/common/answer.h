/* An answer as the user sees it: a generator driven until it ends. */
#ifndef BISE_TOOLS_COMMON_ANSWER_H
#define BISE_TOOLS_COMMON_ANSWER_H

#include "tools/common/generator.h"

struct answer {
    struct generator generator; /* engine and model are the runtime's */
    struct runtime *runtime;
    /* The context has no room for the last id; true: the generator has been resumed. May be
     * NULL. */
    bool (*on_full)(void *arg, struct generator *g);
    void *full_arg;
    enum bise_status error; /* where FINISH_ERROR, which is said on stderr */
};

/* Goes on with generator.ids, of which the session holds the first `held`; Ctrl-C ends it. */
enum finish answer_run(struct answer *a, size_t held);

#endif
