/* The instruction sets of this program and this CPU. */
#ifndef BISE_TOOLS_COMMON_ISA_H
#define BISE_TOOLS_COMMON_ISA_H

#include "tools/common/tools.h"

/* The name as given; of an instruction set that is gone, said on stderr, the one taken for it. */
const char *isa_current(const char *name);
/* Says on stderr, once, if the best this CPU can run is the scalar reference. */
void isa_note_scalar(void);
/* Whether kernels of this name can run here. If not, says which can; returns an exit code. */
int isa_check(const char *name);
/* The name of the i-th one this program has kernels of; NULL: there is none any more. */
const char *isa_built(size_t i, bool *in_this_cpu);

#endif
