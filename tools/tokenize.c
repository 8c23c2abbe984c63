#include "tools.h"

int cmd_tokenize(int argc, char **argv) {
    (void)argc;
    fprintf(stderr, "bise %s: not built yet\n", argv[0]);
    return EXIT_FAILED;
}
