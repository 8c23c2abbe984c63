/* How warm and how fast the CPUs are now: what a board without a fan slows down by. */
#ifndef BISE_SRC_OS_THERMAL_H
#define BISE_SRC_OS_THERMAL_H

#include <stdbool.h>
#include <stdint.h>

struct thermal {
    bool has_temperature, has_clock;
    double celsius;        /* the warmest sensor of CPU or SoC */
    uint64_t mhz, max_mhz; /* of the CPU that runs fastest now, and what it can do */
    uint64_t cap_mhz;      /* what the system lets that CPU do now; 0: unknown */
    uint64_t n_throttled;  /* times that CPUs have counted since the machine's start */
    bool firmware;    /* the Raspberry Pi's, which lowers the clock on its own, says that it does */
    bool low_voltage; /* the same firmware: the power supply is too weak */
};

/* sysfs: "/sys", or a folder like it for tests. */
void thermal_read(struct thermal *t, const char *sysfs);

/* What was seen before, while the same work was done. Starts zeroed. */
struct thermal_history {
    uint64_t peak_mhz, cap_mhz, n_throttled;
    bool begun;
};

/* Takes a reading in. busy: the work is being done, so that the clock tells of it. */
void thermal_note(struct thermal_history *h, const struct thermal *t, bool busy);
/* Whether heat has slowed the CPUs down: the firmware says so, they have counted it, the
 * system's cap is lower than before, or the clock is below four fifths of its own highest under
 * this work. (Not: below the highest turbo. Wide instructions, and all cores at once, never
 * reach it.) */
bool thermal_is_throttled(const struct thermal *now, const struct thermal_history *h);

#endif
