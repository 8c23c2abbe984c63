#include "src/os/mem.h"

#include "src/os/sysfile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEM_ALIGN  128u
#define MMAP_FROM  ((size_t)1 << 20) /* blocks of at least this many bytes come from mmap */
#define HUGE_BYTES ((size_t)2 << 20)

/* Bytes mapped for a large block: whole pages of the largest size common on Linux. */
static size_t mapped_bytes(size_t bytes) {
    const size_t page = (size_t)65536;
    return (bytes + page - 1) & ~(page - 1);
}

/* Anonymous pages aligned to 2 MiB, so that huge pages fit: a longer mapping, its ends cut off. */
static void *map_large(size_t bytes) {
    size_t size = mapped_bytes(bytes), padded;
    if (size < bytes || !add_ok(size, HUGE_BYTES, &padded))
        return NULL;
    uint8_t *raw = mmap(NULL, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    const size_t head = (size_t)(-(uintptr_t)raw & (HUGE_BYTES - 1));
    if (head > 0)
        munmap(raw, head);
    munmap(raw + head + size, padded - head - size);
    (void)madvise(raw + head, size, MADV_HUGEPAGE);
    return raw + head;
}

/* A small block carries the address malloc gave just before its first byte. */
static void *alloc_small(size_t bytes) {
    uint8_t *raw = calloc(1, bytes + sizeof raw + MEM_ALIGN);
    if (raw == NULL)
        return NULL;
    uint8_t *p = raw + sizeof raw;
    p += -(uintptr_t)p & (MEM_ALIGN - 1);
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

void *mem_alloc(size_t bytes) {
    return bytes >= MMAP_FROM ? map_large(bytes) : alloc_small(bytes);
}

void mem_free(void *p, size_t bytes) {
    if (p == NULL)
        return;
    if (bytes >= MMAP_FROM) {
        munmap(p, mapped_bytes(bytes));
        return;
    }
    uint8_t *raw;
    memcpy(&raw, (uint8_t *)p - sizeof raw, sizeof raw);
    free(raw);
}

/* A limit of the process less what counts against it: the nth number of statm, in pages. */
static uint64_t process_limit_left(int resource, const char *statm, int nth) {
    struct rlimit limit;
    uint64_t pages = 0;
    const long page = sysconf(_SC_PAGESIZE);
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || page <= 0)
        return UINT64_MAX;
    for (; nth > 0 && statm != NULL; nth--)
        statm = strchr(statm + 1, ' ');
    if (statm != NULL)
        (void)sysfile_find_u64(statm, "", &pages);
    const uint64_t used = pages * (uint64_t)page;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

/* What may still be mapped: of all addresses (the first number of statm), and of private memory
 * that can be written (the sixth). */
static uint64_t addresses_left(void) {
    char statm[128];
    (void)sysfile_read("/proc/self/statm", statm, sizeof statm);
    const uint64_t all = process_limit_left(RLIMIT_AS, statm, 0);
    const uint64_t data = process_limit_left(RLIMIT_DATA, statm, 5);
    return all < data ? all : data;
}

uint64_t mem_left(const struct mem_facts *m) {
    const uint64_t left = m->limit < m->available ? m->limit : m->available;
    return left < m->addresses ? left : m->addresses;
}

void mem_facts(struct mem_facts *m) {
    *m = (struct mem_facts){.limit = cgroup_memory_left(), .addresses = addresses_left()};
    char text[4096];
    if (sysfile_read("/proc/meminfo", text, sizeof text)) {
        uint64_t kib;
        if (sysfile_find_u64(text, "MemTotal:", &kib))
            m->ram = kib * 1024;
        if (sysfile_find_u64(text, "MemAvailable:", &kib))
            m->available = kib * 1024;
    }
    if (m->ram == 0) {
        const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        m->ram = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    }
    if (m->available == 0)
        m->available = m->ram;
}

uint64_t mem_resident(void) {
    char text[128];
    uint64_t pages;
    if (!sysfile_read("/proc/self/statm", text, sizeof text))
        return 0;
    const char *second = strchr(text, ' ');
    if (second == NULL || !sysfile_find_u64(second + 1, "", &pages))
        return 0;
    const long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? pages * (uint64_t)page : 0;
}
