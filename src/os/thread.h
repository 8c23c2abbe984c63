/* A thread beside the caller's. */
#ifndef BISE_SRC_OS_THREAD_H
#define BISE_SRC_OS_THREAD_H

#include <stddef.h>

struct thread;

/* Of every thread's stack, whatever the C library takes by itself (8 MB, or 128 KB; that where this
 * is refused): what runs in one takes no more. */
#define THREAD_STACK_BYTES ((size_t)1 << 20)

/* NULL: the system has none to give. */
struct thread *thread_start(void *(*run)(void *), void *arg);
/* Waits for its end. Accepts NULL and a pointer to NULL. */
void thread_join(struct thread **t);

#endif
