/* Time, and waiting. */
#ifndef BISE_SRC_OS_CLOCK_H
#define BISE_SRC_OS_CLOCK_H

/* Seconds on a clock that only goes forward. */
double seconds_now(void);
/* Waits; a signal may end that early. */
void seconds_wait(double seconds);

#endif
