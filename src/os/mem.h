/* Memory facts and aligned buffers. */
#ifndef BISE_SRC_OS_MEM_H
#define BISE_SRC_OS_MEM_H

#include "src/bise.h"

/* Zeroed, 128-byte aligned, in huge pages where large (madvise). NULL if there is none. Freed by
 * mem_free with the same size (NULL is fine). Small parsing structures use malloc directly. */
void *mem_alloc(size_t bytes);
void mem_free(void *p, size_t bytes);

struct mem_facts {
    uint64_t ram, available;
    uint64_t limit;     /* cgroup's memory limit less its use, UINT64_MAX if none */
    uint64_t addresses; /* what the process may still map (ulimit -v, -d), likewise */
};
void mem_facts(struct mem_facts *m);
/* Bytes that may be taken: the least of available, limit and addresses. */
uint64_t mem_left(const struct mem_facts *m);
/* Resident memory of this process in bytes, from /proc/self/statm. */
uint64_t mem_resident(void);

/* a * b and a + b into *out; false on overflow. */
static inline bool mul_ok(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool add_ok(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

#endif
