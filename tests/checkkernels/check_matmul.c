#include "tests/checkkernels/checkkernels.h"

const struct check checks_matmul[] = {{0}};
