#include "src/os/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct thread {
    pthread_t id;
};

struct thread *thread_start(void *(*run)(void *), void *arg) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return NULL;
    const bool sized = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES) == 0;
    struct thread *t = malloc(sizeof *t);
    if (t && pthread_create(&t->id, sized ? &attributes : NULL, run, arg) != 0) {
        free(t);
        t = NULL;
    }
    pthread_attr_destroy(&attributes);
    return t;
}

void thread_join(struct thread **t) {
    if (!t || !*t)
        return;
    pthread_join((*t)->id, NULL);
    free(*t);
    *t = NULL;
}
