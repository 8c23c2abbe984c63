/*
 * A request under way, from the last byte of its body to the last byte of its answer. The socket's
 * thread makes it, the preparing thread fills it, the engine's thread answers it; it belongs to one
 * of them at a time, but for its reply, which has a lock, and the words marked atomic.
 */
#ifndef BISE_TOOLS_SERVE_CALL_H
#define BISE_TOOLS_SERVE_CALL_H

#include "tools/serve/author.h"

#include <pthread.h>
#include <stdatomic.h>

#define CALL_ID_LENGTH 32
#define CALLS_MAX_BYTES                                                                            \
    (64u << 20) /* of memory that requests under way take, as far as clients choose */

/* What goes back to the client, made by the one side and sent by the other. */
struct reply {
    pthread_mutex_t lock;
    int status;        /* of HTTP; 0: nothing is decided yet */
    bool is_stream;    /* server-sent events; else out is the whole body once it has ended */
    bool has_ended;    /* nothing more comes */
    bool has_failed;   /* a stream that ended by an error: the connection is closed */
    bool retry;        /* Retry-After belongs to it */
    struct buffer out; /* what has not been sent */
};

/* One of a request's answers. Belongs to the engine's thread once it is queued. */
struct choice {
    struct call *call;
    struct choice *next; /* in the queue, or on the way back from moderation */
    uint32_t index;
    uint64_t seed;
    struct author author;
    size_t n_cached; /* of the prompt, found in a sequence */
    bool announced;  /* the stream has its first chunk */
    bool has_ended, filtered;
    size_t n_calls;            /* told so far */
    struct buffer text, calls; /* the whole text; calls, as answers in one piece show them */
    struct tool_text history;  /* the calls as the next prompt will show them, without "]" */
};

struct call {
    atomic_int references;
    atomic_bool is_gone;             /* the client has left: nobody will read an answer */
    atomic_size_t n_read, n_to_read; /* progress of the prompt */
    struct reply reply;

    enum endpoint endpoint;
    uint32_t key;
    struct buffer body;
    size_t weight; /* memory that it counts for */
    struct request request;
    struct prompt prompt;
    char id[CALL_ID_LENGTH + 1];
    int64_t created;        /* seconds since 1970 */
    struct choice *choices; /* [n_choices] */
    uint32_t n_choices, n_ended;
    bool queued; /* it counts among those under way */

    double arrived, prepared, started, first, ended; /* seconds_now(); 0: not yet */
    size_t n_prompt, n_cached, n_answer;             /* tokens, for the log */
};

/* NULL without memory. One reference is the caller's. */
struct call *call_new(enum endpoint endpoint, uint32_t key);
void call_hold(struct call *c);
/* The last one frees it; its authors have been closed. */
void call_drop(struct call *c);

/* Reads the body, which is freed. False, f filled: what is wrong with it, or that requests under
 * way take too much memory. */
bool call_read(struct call *c, const struct request_facts *facts, struct fault *f);
/* The body is whole, and the call's. False: requests under way take too much memory. */
bool call_take_body(struct call *c, struct buffer *body);

/* Ends the reply with a fault, as an answer or, in a stream that has begun, as an event. */
void call_fail(struct call *c, const struct fault *f);
/* Bytes of replies that wait to be sent, of all calls. */
size_t call_waiting_bytes(void);
/* To be told of bytes that came into a reply's buffer, and that left it. */
void call_added(size_t n);
void call_sent(size_t n);

#endif
