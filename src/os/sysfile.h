/* Small text files of /proc and /sys: facts about the machine, any of which may be missing. */
#ifndef BISE_SRC_OS_SYSFILE_H
#define BISE_SRC_OS_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads up to cap - 1 bytes of a file into buf, NUL-terminated. False, buf "", if it cannot be
 * read. */
bool sysfile_read(const char *path, char *buf, size_t cap);
/* First number in a file. False if there is none (missing, "max", negative). */
bool sysfile_read_u64(const char *path, uint64_t *value);
/* Number that follows key (at the start of a line) in text, e.g. "MemTotal:". False if absent. */
bool sysfile_find_u64(const char *text, const char *key, uint64_t *value);

/* How huge pages are given: "always", "madvise" or "never" into word; false, word "", where this
 * cannot be read. */
bool sysfile_huge_pages(char *word, size_t cap);

/* Control groups, versions 1 and 2, this process's group and all above it. */

/* Bytes that may still be taken: the least of (limit - use), page cache not counted as use, since
 * the kernel gives it back. UINT64_MAX if there is no limit. */
uint64_t cgroup_memory_left(void);
/* CPUs the quota allows, rounded down, at least 1; 0 if there is no quota. */
int cgroup_cpu_quota(void);

#endif
