/*
 * bise serve. One thread has the sockets (sockets.h), one prepares requests (prepare.h), one has
 * the engine (schedule.h), and with moderation one judges (judge.h); a call (call.h) goes from the
 * first to the others, and its reply comes back as bytes. This is what they share.
 */
#ifndef BISE_TOOLS_SERVE_SERVER_H
#define BISE_TOOLS_SERVE_SERVER_H

#include "tools/common/runtime.h"
#include "tools/serve/access.h"
#include "tools/serve/answer.h"
#include "tools/serve/metrics.h"

struct prepare;
struct schedule;
struct judge;

struct serve_options {
    struct runtime_options runtime;
    const char *host, *key_file, *overflow, *format, *name;
    struct option_list allow_hosts, allow_origins;
    int64_t port, n_lanes, stall_ms, queue, grace;
    double threshold;
    bool no_key, log_json, moderate, open, quiet;
};

struct server {
    const struct serve_options *options;
    const char *path; /* of the model */
    struct bise_model *model;
    const struct bise_model_info *info;
    char name[128];  /* of the model, as clients see it */
    const char *isa; /* instruction set in use */
    struct bise_engine *engine;
    struct bise_plan plan;
    uint32_t n_lanes; /* sequences */
    struct prompter prompter;
    struct grammars grammars;
    struct request_facts request_facts;
    struct answer_facts answer_facts;
    struct access access;
    struct metrics metrics;
    struct prepare *prepare;
    struct schedule *schedule;
    struct judge *judge; /* NULL: none */
    int64_t started;     /* seconds since 1970 */

    atomic_size_t under_way;      /* choices that are queued or being written */
    int wake;                     /* an eventfd: a reply has grown */
    atomic_bool is_ready;         /* the model is loaded */
    atomic_int stopping;          /* 1: no new requests; 2: those under way are cut */
    volatile int stop;            /* of the engine's steps */
    _Atomic(struct call *) alone; /* whose prompt is all that a step reads */
};

#define SERVER_MAX_BODY   (8u << 20)
#define SERVER_MAX_BODIES (32u << 20) /* of all requests under way */

/* Loads the model and starts all threads but that of the sockets. Returns an exit code, the fault
 * said on stderr; server_close is due in any case. */
int server_open(struct server *s);
void server_close(struct server *s);

/* What requests take is given back to the system, so that memory stays what it was at start: as a
 * rule from here on, and now, when nobody asks. (Of glibc; others do so by themselves.) */
void server_keep_memory_flat(void);
void server_give_memory_back(void);

/* Reserves places for n choices; false: there are not so many. */
bool server_admit(struct server *s, size_t n);
void server_leave(struct server *s, size_t n);
/* Ends the engine's step, or lets the next go on. (In one order with `stopping` and `alone`.) */
static inline void server_stop_step(struct server *s, int stop) {
    __atomic_store_n(&s->stop, stop, __ATOMIC_SEQ_CST);
}
/* Tells the socket's thread that a reply has grown. */
void server_wake(struct server *s);
/* The call is over: its authors are closed, its places given back, one reference is dropped. */
void server_release(struct server *s, struct call *c);
/* The call ends with a fault; its places are given back, one reference is dropped. */
void server_refuse(struct server *s, struct call *c, const struct fault *f);

/* The facts of /props, in a JSON object. */
void server_props(const struct server *s, struct buffer *out);

#endif
