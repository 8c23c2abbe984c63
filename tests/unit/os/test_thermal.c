/* Clock, temperature and fast cores from a folder that looks like /sys of some boards. */
#include "src/os/thermal.h"

#include "src/os/cpu.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void make_root(void) {
    strcpy(root, "/tmp/bise-thermal-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* Writes root/name, making its folders. */
static void put(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_cpu(int cpu, const char *now, const char *max) {
    char name[128];
    snprintf(name, sizeof name, "devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    put(name, now);
    snprintf(name, sizeof name, "devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu);
    put(name, max);
}

TestSuite(thermal, .init = make_root, .fini = remove_root);

Test(thermal, raspberry_pi_5_throttled) {
    struct thermal t;
    put("class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put("class/thermal/thermal_zone0/temp", "85400\n");
    for (int cpu = 0; cpu < 4; cpu++)
        put_cpu(cpu, "1500000\n", "2400000\n");
    thermal_read(&t, root);
    cr_assert(t.has_temperature && t.has_clock);
    cr_assert_float_eq(t.celsius, 85.4, 1e-9);
    cr_assert_eq(t.mhz, 1500);
    cr_assert_eq(t.max_mhz, 2400);
}

Test(thermal, big_cores_count) {
    struct thermal t;
    put("class/thermal/thermal_zone0/type", "soc-thermal\n");
    put("class/thermal/thermal_zone0/temp", "51000\n");
    put("class/thermal/thermal_zone1/type", "bigcore0-thermal\n");
    put("class/thermal/thermal_zone1/temp", "63000\n");
    put("class/thermal/thermal_zone2/type", "battery\n");
    put("class/thermal/thermal_zone2/temp", "99000\n");
    put_cpu(0, "1800000\n", "1800000\n");
    put_cpu(1, "2400000\n", "2400000\n");
    put_cpu(2, "1200000\n", "1800000\n");
    thermal_read(&t, root);
    cr_assert_float_eq(t.celsius, 63.0, 1e-9);
    cr_assert_eq(t.mhz, 2400);
}

Test(thermal, firmware_of_a_raspberry_pi) {
    struct thermal t;
    for (int cpu = 0; cpu < 4; cpu++)
        put_cpu(cpu, "1800000\n", "1800000\n"); /* as asked for; the firmware runs them slower */
    put("devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    thermal_read(&t, root);
    cr_assert(t.firmware && t.low_voltage);
    put("devices/platform/soc/soc:firmware/get_throttled", "80008\n");
    thermal_read(&t, root);
    cr_assert(t.firmware && !t.low_voltage);
    put("devices/platform/soc/soc:firmware/get_throttled", "f0000\n"); /* has been, is not now */
    thermal_read(&t, root);
    cr_assert(!t.firmware && !t.low_voltage);
}

/* Bits of the CPUs that are left of eight. */
static unsigned fast_of_eight(void) {
    struct cpu_set set = {{0}};
    unsigned bits = 0;
    for (int cpu = 0; cpu < 8; cpu++)
        cpu_add(&set, cpu);
    cpu_drop_slow(&set, root);
    for (int cpu = 0; cpu < 16; cpu++)
        bits |= (unsigned)cpu_in(&set, cpu) << cpu;
    return bits;
}

static void put_fact(int cpu, const char *name, const char *value) {
    char path[128];
    snprintf(path, sizeof path, "devices/system/cpu/cpu%d/%s", cpu, name);
    put(path, value);
}

Test(thermal, fast_cores_of_an_rk3588) { /* four A55, then two pairs of A76 */
    static const char *const mhz[] = {"1800000\n", "2256000\n", "2304000\n"};
    cr_assert_eq(fast_of_eight(), 0xff, "nothing is known");
    for (int cpu = 0; cpu < 8; cpu++)
        put_fact(cpu, "cpufreq/cpuinfo_max_freq", mhz[cpu < 4 ? 0 : cpu < 6 ? 1 : 2]);
    cr_assert_eq(fast_of_eight(), 0xf0, "by frequency");
    for (int cpu = 0; cpu < 8; cpu++)
        put_fact(cpu, "cpu_capacity", cpu < 4 ? "414\n" : cpu < 6 ? "1002\n" : "1024\n");
    cr_assert_eq(fast_of_eight(), 0xf0, "by capacity");
    for (int cpu = 0; cpu < 8; cpu++)
        put_fact(cpu, "cpufreq/cpuinfo_max_freq", "2400000\n");
    cr_assert_eq(fast_of_eight(), 0xf0, "capacity counts, not frequency");
}

Test(thermal, equal_cores_stay) {
    for (int cpu = 0; cpu < 8; cpu++)
        put_fact(cpu, "cpufreq/cpuinfo_max_freq", cpu == 3 ? "4900000\n" : "4500000\n");
    cr_assert_eq(fast_of_eight(), 0xff, "one that may run a little faster");
}

/* Under AVX-512 a clock that never reaches the turbo is not slowed down; one that falls is. */
Test(thermal, slower_than_before) {
    struct thermal_history h = {.begun = false};
    struct thermal t;
    put_cpu(0, "2900000\n", "4100000\n");
    put_fact(0, "cpufreq/scaling_max_freq", "4100000\n");
    put_fact(0, "thermal_throttle/core_throttle_count", "7\n");
    thermal_read(&t, root);
    thermal_note(&h, &t, true);
    cr_assert_not(thermal_is_throttled(&t, &h));
    put_fact(0, "cpufreq/scaling_cur_freq", "2400000\n");
    thermal_read(&t, root);
    cr_assert_not(thermal_is_throttled(&t, &h), "a little less");
    put_fact(0, "cpufreq/scaling_cur_freq", "2200000\n");
    thermal_read(&t, root);
    cr_assert(thermal_is_throttled(&t, &h), "much less");
    put_fact(0, "cpufreq/scaling_cur_freq", "2900000\n");
    put_fact(0, "cpufreq/scaling_max_freq", "3500000\n");
    thermal_read(&t, root);
    cr_assert(thermal_is_throttled(&t, &h), "the system's cap");
    put_fact(0, "cpufreq/scaling_max_freq", "4100000\n");
    put_fact(0, "thermal_throttle/core_throttle_count", "9\n");
    thermal_read(&t, root);
    cr_assert(thermal_is_throttled(&t, &h), "counted");
    const struct thermal_history none = {.begun = false};
    cr_assert_not(thermal_is_throttled(&t, &none), "nothing to compare with");
}

Test(thermal, nothing_known) {
    struct thermal t;
    thermal_read(&t, root);
    cr_assert(!t.has_temperature && !t.has_clock && !t.firmware);
}
