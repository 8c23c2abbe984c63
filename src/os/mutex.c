#include "src/os/mutex.h"

#include <pthread.h>
#include <stdlib.h>

struct mutex {
    pthread_mutex_t mutex;
};

struct mutex *mutex_open(void) {
    struct mutex *m = malloc(sizeof *m);
    if (m && pthread_mutex_init(&m->mutex, NULL) != 0) {
        free(m);
        return NULL;
    }
    return m;
}

void mutex_close(struct mutex **m) {
    if (!m || !*m)
        return;
    pthread_mutex_destroy(&(*m)->mutex);
    free(*m);
    *m = NULL;
}

void mutex_lock(struct mutex *m) {
    pthread_mutex_lock(&m->mutex);
}

void mutex_unlock(struct mutex *m) {
    pthread_mutex_unlock(&m->mutex);
}
