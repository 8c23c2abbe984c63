#include "src/os/thread.h"

#include <criterion/criterion.h>
#include <pthread.h>

static void *measure(void *arg) {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstacksize(&attributes, arg);
        pthread_attr_destroy(&attributes);
    }
    return NULL;
}

Test(thread, has_the_stack_that_is_stated) {
    size_t bytes = 0;
    struct thread *t = thread_start(measure, &bytes);
    cr_assert_not_null(t);
    thread_join(&t);
    cr_assert_null(t);
    cr_assert_eq(bytes, THREAD_STACK_BYTES);
}
