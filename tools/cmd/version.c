/* bise --version: what this program is; with -v what it is made of and what it finds here. */
#include "src/os/cpu.h"
#include "src/os/sysfile.h"
#include "tools/cmd/build.h"
#include "tools/common/isa.h"
#include "tools/common/output.h"

#include <string.h>

int cmd_version(int argc, char **argv) {
    char pages[16];
    const char *isa;
    bool here;
    print("bise %s\n", BISE_VERSION);
    if (argc < 2)
        return EXIT_DONE;
    if (argc > 2 || (strcmp(argv[1], "-v") != 0 && strcmp(argv[1], "--verbose") != 0))
        return refuse(EXIT_USAGE, "--version takes -v and nothing else, found \"%s\"",
                      argv[argc - 1]);
    print("commit       %s\ncompiler     %s\n", BISE_COMMIT, BISE_COMPILER);
    print("kernels     ");
    for (size_t i = 0; (isa = isa_built(i, &here)) != NULL; i++)
        print(" %s%s", isa, here ? "" : " (not in this CPU)");
    print("\n");
    print("huge pages   %s\n", sysfile_huge_pages(pages, sizeof pages) ? pages : "unknown");
    print("threads      %d of %d CPUs that may be used\n", cpu_default_threads(), cpu_count());
    return EXIT_DONE;
}
