#include "src/os/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool sysfile_read(const char *path, char *buf, size_t cap) {
    buf[0] = '\0';
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t n = 1;
    while (len < cap - 1 && n > 0) {
        n = read(fd, buf + len, cap - 1 - len);
        if (n > 0)
            len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    close(fd);
    buf[len] = '\0';
    return n >= 0;
}

bool sysfile_huge_pages(char *word, size_t cap) {
    char text[128]; /* the choices; what is chosen is in brackets */
    (void)sysfile_read("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    const char *const from = strchr(text, '[');
    snprintf(word, cap, "%.*s", from ? (int)strcspn(from + 1, "]") : 0, from ? from + 1 : "");
    return word[0] != 0;
}

/* Unsigned decimal at s, blanks before it skipped. */
static bool parse_u64(const char *s, uint64_t *value) {
    s += strspn(s, " \t");
    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    const unsigned long long v = strtoull(s, NULL, 10);
    if (errno != 0)
        return false;
    *value = v;
    return true;
}

bool sysfile_read_u64(const char *path, uint64_t *value) {
    char buf[64];
    return sysfile_read(path, buf, sizeof buf) && parse_u64(buf, value);
}

bool sysfile_find_u64(const char *text, const char *key, uint64_t *value) {
    const size_t len = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0)
            return parse_u64(line + len, value);
    }
    return false;
}

/* ---- control groups ---------------------------------------------------------------------- */

/* Folder of this process's group, e.g. /sys/fs/cgroup/memory/a/b; root_len: length of the part that
 * must stay when going up. */
struct cgroup_path {
    char path[PATH_MAX];
    size_t root_len;
};

/* /proc/self/cgroup has lines "N:controllers:/path"; version 2's is "0::/path". */
static bool cgroup_find(struct cgroup_path *g, const char *controller) {
    char text[4096];
    if (!sysfile_read("/proc/self/cgroup", text, sizeof text))
        return false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *names = strchr(line, ':');
        char *path = names ? strchr(names + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *names++ = '\0';
        *path++ = '\0';
        const char *hit = controller[0] ? strstr(names, controller) : NULL;
        const size_t len = strlen(controller);
        const bool match = controller[0] ? hit != NULL && (hit == names || hit[-1] == ',') &&
                                               (hit[len] == '\0' || hit[len] == ',')
                                         : names[0] == '\0';
        if (!match)
            continue;
        const char *mount = controller[0] ? names : "";
        const int root =
            snprintf(g->path, sizeof g->path, "/sys/fs/cgroup%s%s", mount[0] ? "/" : "", mount);
        if (root < 0 || (size_t)root + strlen(path) >= sizeof g->path)
            return false;
        g->root_len = (size_t)root;
        strcpy(g->path + root, strcmp(path, "/") == 0 ? "" : path);
        return true;
    }
    return false;
}

/* Cuts the last component off. False at the root. */
static bool cgroup_up(struct cgroup_path *g) {
    char *slash = strrchr(g->path, '/');
    if (slash == NULL || (size_t)(slash - g->path) < g->root_len)
        return false;
    *slash = '\0';
    return true;
}

/* Reads the file `name` of group g. */
static bool cgroup_read(const struct cgroup_path *g, const char *name, char *buf, size_t cap) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", g->path, name);
    return sysfile_read(path, buf, cap);
}

static bool cgroup_read_u64(const struct cgroup_path *g, const char *name, uint64_t *value) {
    char buf[64];
    return cgroup_read(g, name, buf, sizeof buf) && parse_u64(buf, value);
}

/* limit - use of one group; UINT64_MAX if it has no limit. */
static uint64_t group_memory_left(const struct cgroup_path *g, bool v2) {
    uint64_t limit, use, cache = 0, part = 0;
    if (!cgroup_read_u64(g, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !cgroup_read_u64(g, v2 ? "memory.current" : "memory.usage_in_bytes", &use))
        return UINT64_MAX;
    char stat[8192];
    if (cgroup_read(g, "memory.stat", stat, sizeof stat)) {
        if (sysfile_find_u64(stat, v2 ? "inactive_file " : "total_inactive_file ", &part))
            cache += part;
        if (sysfile_find_u64(stat, v2 ? "active_file " : "total_active_file ", &part))
            cache += part;
    }
    use = use > cache ? use - cache : 0;
    return limit > use ? limit - use : 0;
}

uint64_t cgroup_memory_left(void) {
    uint64_t left = UINT64_MAX;
    struct cgroup_path g;
    for (int v2 = 0; v2 <= 1; v2++) {
        if (!cgroup_find(&g, v2 ? "" : "memory"))
            continue;
        do {
            const uint64_t l = group_memory_left(&g, v2);
            left = l < left ? l : left;
        } while (cgroup_up(&g));
    }
    /* Version 1 says "no limit" by a number near 2^63. */
    return left > (uint64_t)1 << 60 ? UINT64_MAX : left;
}

/* CPUs by the quota of one group, rounded down; 0 if it has none. */
static int group_cpu_quota(const struct cgroup_path *g, bool v2) {
    uint64_t quota, period;
    if (v2) {
        char buf[64];
        if (!cgroup_read(g, "cpu.max", buf, sizeof buf) || !parse_u64(buf, &quota))
            return 0;
        const char *second = strchr(buf, ' ');
        if (second == NULL || !parse_u64(second, &period))
            return 0;
    } else if (!cgroup_read_u64(g, "cpu.cfs_quota_us", &quota) ||
               !cgroup_read_u64(g, "cpu.cfs_period_us", &period)) {
        return 0;
    }
    if (quota == 0 || period == 0 || quota / period > INT_MAX)
        return 0;
    return quota < period ? 1 : (int)(quota / period);
}

int cgroup_cpu_quota(void) {
    int best = 0;
    struct cgroup_path g;
    for (int v2 = 0; v2 <= 1; v2++) {
        if (!cgroup_find(&g, v2 ? "" : "cpu"))
            continue;
        do {
            const int n = group_cpu_quota(&g, v2);
            if (n > 0 && (best == 0 || n < best))
                best = n;
        } while (cgroup_up(&g));
    }
    return best;
}
