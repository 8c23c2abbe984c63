/* Time that passes. */
#ifndef BISE_SRC_OS_CLOCK_H
#define BISE_SRC_OS_CLOCK_H

/* Seconds on a clock that only goes forward. */
double seconds_now(void);

#endif
