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

static void read_clock(struct thermal *t, const char *sysfs) {
    for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
        char path[512];
        uint64_t now, max;
        snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", sysfs,
                 cpu);
        if (!sysfile_read_u64(path, &max))
            break;
        snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", sysfs,
                 cpu);
        if (!sysfile_read_u64(path, &now) || now / 1000 < t->mhz)
            continue;
        t->mhz = now / 1000;
        t->max_mhz = max / 1000;
        t->has_clock = true;
    }
    t->throttled = t->has_clock && t->mhz < t->max_mhz / 10 * 9;
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
    t->throttled = t->throttled || (end != text && (bits & 0xe));
}

void thermal_read(struct thermal *t, const char *sysfs) {
    memset(t, 0, sizeof *t);
    read_temperature(t, sysfs);
    read_clock(t, sysfs);
    read_firmware(t, sysfs);
}
