/* Inside of the schedule: schedule.c decides which answers have a sequence, schedule_step.c what
 * each step of the engine reads and writes. All of it runs in the engine's thread. */
#ifndef BISE_TOOLS_SERVE_SCHEDULE_IMPL_H
#define BISE_TOOLS_SERVE_SCHEDULE_IMPL_H

#include "tools/common/speculate.h"
#include "tools/serve/schedule.h"
#include "tools/serve/sequences.h"

#define SCHEDULE_ECHO_CHUNK    32 /* columns of a prompt whose logprobs are wanted */
#define SCHEDULE_LONGEST_DRAFT 10

struct schedule {
    struct server *server;
    struct thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct event *first, *last; /* guarded */
    struct choice *judged;      /* guarded: back from moderation */
    bool closing, poked;        /* guarded */

    struct sequence *seqs;            /* [n_lanes] */
    struct bise_run *runs;            /* [n_lanes] */
    struct choice *waiting;           /* in the order of their arrival */
    uint64_t served[ACCESS_MAX_KEYS]; /* when a key was given a sequence last */
    uint64_t clock;
    uint8_t *allowed;          /* [vocab_size] */
    float *echo_logits;        /* [ECHO_CHUNK][vocab_size]; NULL until it is wanted */
    double column_seconds;     /* of a prompt's token in a step; 0: not known */
    struct speculation drafts; /* of an answer that is written alone */
    struct choice *drafted;    /* whose they are */
};

/* Of the prompt every position's logits are wanted. */
static inline bool choice_wants_echo(const struct choice *ch) {
    return ch->call->request.echo && ch->call->request.logprobs;
}

/* Runs a step. False: there is nothing to run. */
bool schedule_step(struct schedule *s);
/* Reads on in what a sequence's next prompt will begin with. False: there is nothing. */
bool schedule_read_foreseen(struct schedule *s);

/* The answer is whole: its sequence is free again, and it goes out, or to moderation. */
void schedule_end_answer(struct schedule *s, uint32_t lane);
/* The choice will not be finished. */
void schedule_abandon(struct schedule *s, struct choice *ch);
/* The whole call ends by a fault; its other choices follow when they are looked at. */
void schedule_fail(struct schedule *s, struct call *c, enum bise_status status,
                   const struct bise_error *err);

#endif
