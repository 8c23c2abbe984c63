/* Clock and temperature from a folder that looks like /sys of some boards. */
#include "thermal.h"

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
    cr_assert(t.has_temperature && t.has_clock && t.throttled);
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
    thermal_read(&t, root);
    cr_assert_float_eq(t.celsius, 63.0, 1e-9);
    cr_assert_eq(t.mhz, 2400);
    cr_assert_not(t.throttled);
}

Test(thermal, nothing_known) {
    struct thermal t;
    thermal_read(&t, root);
    cr_assert(!t.has_temperature && !t.has_clock && !t.throttled);
}
