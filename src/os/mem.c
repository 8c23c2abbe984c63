#include "src/os/mem.h"

#include "src/os/sysfile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

void mem_facts(struct mem_facts *m) {
    *m = (struct mem_facts){.limit = cgroup_memory_left()};
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
