/* Signals that ask a command to stop. They raise flags; the work looks at these in between. */
#ifndef BISE_TOOLS_COMMON_INTERRUPT_H
#define BISE_TOOLS_COMMON_INTERRUPT_H

#include <stdbool.h>

/* From here on SIGINT and SIGTERM raise the flag; a second one ends the program at once. On a
 * terminal SIGINT is answered by the handler itself: work may take a moment to stop. */
void interrupt_catch(void);
/* For programs that have something to save, and say themselves that they were stopped: SIGINT,
 * SIGTERM and SIGHUP only ever raise flags. */
void interrupt_catch_all(void);

/* Whether to stop what is going on. */
bool interrupted(void);
/* Whether to leave: SIGTERM or SIGHUP has come. */
bool terminated(void);
/* Whether even a write that waits for its reader is to be given up: SIGINT has come again, or
 * another signal. */
bool interrupted_again(void);
/* Lowers the flag (not that of terminated); the next SIGINT raises it again. */
void interrupt_clear(void);
/* Raises it, for a Ctrl-C that came as a byte. */
void interrupt_raise(void);

/* Not 0 while interrupted(): the word that bise_step looks at. */
const volatile int *interrupt_word(void);

/* Waits until fd can be read (or is at its end); false if the flag was raised before or meanwhile.
 */
bool input_or_interrupt(int fd);

enum wait_result { WAIT_READY, WAIT_TIMEOUT, WAIT_SIGNAL };
/* Waits until fd can be read, milliseconds have passed (-1: for ever), or a signal has come that
 * raised a flag here or in *changed, now or since the flag was lowered. changed may be NULL. */
enum wait_result wait_input(int fd, int milliseconds, const volatile int *changed);

/* Waits until fd takes output; false if it does not and interrupted_again(). */
bool wait_output(int fd);

#endif
