/* This process. */
#ifndef BISE_SRC_OS_PROCESS_H
#define BISE_SRC_OS_PROCESS_H

#include <stdint.h>

/* The number the system gave it; no other process of this machine has it now. */
long process_id(void);
/* A number that nobody can foresee; where the system has none, one that differs by time and
 * process. */
uint64_t process_random(void);

#endif
