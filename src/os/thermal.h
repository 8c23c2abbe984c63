/* How warm and how fast the CPUs are now: what a board without a fan slows down by. */
#ifndef BISE_SRC_OS_THERMAL_H
#define BISE_SRC_OS_THERMAL_H

#include <stdbool.h>
#include <stdint.h>

struct thermal {
    bool has_temperature, has_clock;
    double celsius;        /* the warmest sensor of CPU or SoC */
    uint64_t mhz, max_mhz; /* of the CPU that runs fastest now, and what it can do */
    bool throttled;        /* the clock is below nine tenths of that, to be read while busy; or the
                            * Raspberry Pi's firmware, which lowers it on its own, says so */
    bool low_voltage;      /* the same firmware: the power supply is too weak */
};

/* sysfs: "/sys", or a folder like it for tests. */
void thermal_read(struct thermal *t, const char *sysfs);

#endif
