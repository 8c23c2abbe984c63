/* What bench's JSON says of machine and build, so that a file can be read without either. */
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "src/os/sysfile.h"
#include "tools/cmd/bench.h"
#include "tools/cmd/build.h"
#include "tools/common/isa.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef BISE_FLAGS
#define BISE_FLAGS "unknown"
#endif

#define CPU0 "/sys/devices/system/cpu/cpu0/"

/* "name": the text up to its line's end, null where there is none. */
static void put_text(struct buffer *b, const char *name, const char *text) {
    const size_t n = text ? strcspn(text, "\n") : 0;
    buffer_print(b, "    \"%s\": ", name);
    if (n)
        buffer_json(b, text, n);
    else
        buffer_text(b, "null");
    buffer_text(b, ",\n");
}

static void put_file(struct buffer *b, const char *name, const char *path) {
    char text[128];
    put_text(b, name, sysfile_read(path, text, sizeof text) ? text : NULL);
}

static void put_caches(struct buffer *b) {
    bool first = true;
    buffer_text(b, "    \"caches\": [");
    for (int i = 0; i < 8; i++) {
        char path[96], type[32];
        uint64_t level, kib;
        snprintf(path, sizeof path, CPU0 "cache/index%d/type", i);
        if (!sysfile_read(path, type, sizeof type) || strncmp(type, "Instruction", 11) == 0)
            continue;
        snprintf(path, sizeof path, CPU0 "cache/index%d/level", i);
        if (!sysfile_read_u64(path, &level))
            continue;
        snprintf(path, sizeof path, CPU0 "cache/index%d/size", i);
        if (!sysfile_read_u64(path, &kib))
            continue;
        buffer_print(b, "%s{\"level\": %llu, \"bytes\": %llu}", first ? "" : ", ",
                     (unsigned long long)level, (unsigned long long)kib * 1024);
        first = false;
    }
    buffer_text(b, "],\n");
}

static void put_clock(struct buffer *b) {
    uint64_t low, high;
    if (sysfile_read_u64(CPU0 "cpufreq/cpuinfo_min_freq", &low) &&
        sysfile_read_u64(CPU0 "cpufreq/cpuinfo_max_freq", &high))
        buffer_print(b, "    \"clock_mhz\": [%llu, %llu],\n", (unsigned long long)low / 1000,
                     (unsigned long long)high / 1000);
    else
        buffer_text(b, "    \"clock_mhz\": null,\n");
}

void bench_print_facts(struct buffer *b) {
    char text[8192], pages[16], name[CPU_NAME];
    struct utsname system;
    struct mem_facts memory;
    const char *isa;
    bool here, first = true;
    (void)sysfile_read("/proc/cpuinfo", text, sizeof text);
    mem_facts(&memory);
    buffer_text(b, "  \"machine\": {\n");
    put_text(b, "cpu", cpu_name(name) ? name : NULL);
    put_text(b, "architecture", uname(&system) == 0 ? system.machine : NULL);
    put_text(b, "kernel", system.release);
    buffer_print(b, "    \"cores\": %ld,\n    \"threads_allowed\": %d,\n    \"isas\": [",
                 sysconf(_SC_NPROCESSORS_ONLN), cpu_count());
    for (size_t i = 0; (isa = isa_built(i, &here)) != NULL; i++)
        if (here) {
            buffer_print(b, "%s\"%s\"", first ? "" : ", ", isa);
            first = false;
        }
    buffer_text(b, "],\n");
    put_caches(b);
    put_text(b, "huge_pages", sysfile_huge_pages(pages, sizeof pages) ? pages : NULL);
    put_file(b, "governor", CPU0 "cpufreq/scaling_governor");
    put_clock(b);
    buffer_print(b, "    \"virtual\": %s,\n    \"memory_bytes\": %llu\n  },\n",
                 strstr(text, " hypervisor") ? "true" : "false", (unsigned long long)memory.ram);
    buffer_text(b, "  \"build\": {\n");
    put_text(b, "version", BISE_VERSION);
    put_text(b, "commit", BISE_COMMIT);
    put_text(b, "flags", BISE_FLAGS);
    buffer_text(b, "    \"compiler\": \"" BISE_COMPILER "\"\n  },\n");
}
