/* What threads of one process take turns by. */
#ifndef BISE_SRC_OS_MUTEX_H
#define BISE_SRC_OS_MUTEX_H

struct mutex;

/* NULL: no memory. */
struct mutex *mutex_open(void);
/* Accepts NULL and a pointer to NULL. */
void mutex_close(struct mutex **m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

#endif
