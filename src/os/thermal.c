#include "src/os/thermal.h"

#include "src/os/sysfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ZONES 64
#define MAX_CPUS  1024

/* Names of sensors that follow the CPU: cpu-thermal (Raspberry Pi), soc-thermal and
 * bigcore0-thermal (Rockchip), x86_pkg_temp, cpuss-0. */
static bool is_cpu_sensor(const char *type) {
    static const char *const parts[] = {"cpu", "soc", "core", "pkg"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(type, parts[i]) != NULL)
            return true;
    return false;
}

static void read_temperature(struct thermal *t, const char *sysfs) {
    for (int zone = 0; zone < MAX_ZONES; zone++) {
        char path[512], type[64];
        uint64_t millidegrees;
        snprintf(path, sizeof path, "%s/class/thermal/thermal_zone%d/type", sysfs, zone);
        if (!sysfile_read(path, type, sizeof type) || !is_cpu_sensor(type))
            continue;
        snprintf(path, sizeof path, "%s/class/thermal/thermal_zone%d/temp", sysfs, zone);
        if (!sysfile_read_u64(path, &millidegrees))
            continue;
        const double celsius = (double)millidegrees / 1000;
        if (!t->has_temperature || celsius > t->celsius)
            t->celsius = celsius;
        t->has_temperature = true;
    }
}

/* A number among a CPU's facts; 0 where it is missing. */
static uint64_t cpu_number(const char *sysfs, int cpu, const char *name) {
    char path[512];
    uint64_t value;
    snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%d/%s", sysfs, cpu, name);
    return sysfile_read_u64(path, &value) ? value : 0;
}

static void read_clock(struct thermal *t, const char *sysfs) {
    for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
        t->n_throttled += cpu_number(sysfs, cpu, "thermal_throttle/core_throttle_count");
        const uint64_t max = cpu_number(sysfs, cpu, "cpufreq/cpuinfo_max_freq");
        if (max == 0)
            break;
        const uint64_t now = cpu_number(sysfs, cpu, "cpufreq/scaling_cur_freq");
        if (now == 0 || now / 1000 < t->mhz)
            continue;
        t->mhz = now / 1000;
        t->max_mhz = max / 1000;
        t->cap_mhz = cpu_number(sysfs, cpu, "cpufreq/scaling_max_freq") / 1000;
        t->has_clock = true;
    }
}

/* Bits of the Raspberry Pi's firmware: 0 voltage too low, 1 clock capped, 2 throttled, 3 near the
 * temperature limit; from 16 on, what has ever been. In hexadecimal without a prefix. */
static void read_firmware(struct thermal *t, const char *sysfs) {
    char path[512], text[32], *end;
    snprintf(path, sizeof path, "%s/devices/platform/soc/soc:firmware/get_throttled", sysfs);
    if (!sysfile_read(path, text, sizeof text))
        return;
    const unsigned long bits = strtoul(text, &end, 16);
    t->low_voltage = end != text && (bits & 1);
    t->firmware = end != text && (bits & 0xe);
}

void thermal_read(struct thermal *t, const char *sysfs) {
    memset(t, 0, sizeof *t);
    read_temperature(t, sysfs);
    read_clock(t, sysfs);
    read_firmware(t, sysfs);
}

void thermal_note(struct thermal_history *h, const struct thermal *t, bool busy) {
    if (busy && t->mhz > h->peak_mhz)
        h->peak_mhz = t->mhz;
    if (!h->begun) {
        h->n_throttled = t->n_throttled;
        h->cap_mhz = t->cap_mhz;
    }
    h->begun = true;
}

bool thermal_is_throttled(const struct thermal *now, const struct thermal_history *h) {
    const bool capped = now->cap_mhz > 0 && now->cap_mhz < h->cap_mhz;
    const bool counted = h->begun && now->n_throttled > h->n_throttled;
    const bool slower = now->has_clock && now->mhz < h->peak_mhz / 5 * 4;
    return now->firmware || capped || counted || slower;
}
