/* bise --version: what this program is; with -v what it is made of and what it finds here. */
#include "src/os/cpu.h"
#include "tools/common/isa.h"
#include "tools/common/output.h"

#include <string.h>

#ifndef BISE_VERSION
#define BISE_VERSION "0.2.0"
#endif
#ifndef BISE_COMMIT
#define BISE_COMMIT "unknown"
#endif

/* The word in brackets of a file under /sys: how huge pages are given. */
static void print_huge_pages(void) {
    char text[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;
    if (to)
        print("huge pages   %.*s\n", (int)(to - from - 1), from + 1);
    else
        print("huge pages   unknown\n");
}

int cmd_version(int argc, char **argv) {
    const char *isa;
    bool here;
    print("bise %s\n", BISE_VERSION);
    if (argc < 2)
        return EXIT_DONE;
    if (argc > 2 || (strcmp(argv[1], "-v") != 0 && strcmp(argv[1], "--verbose") != 0))
        return refuse(EXIT_USAGE, "--version takes -v and nothing else, found \"%s\"",
                      argv[argc - 1]);
    print("commit       %s\ncompiler     %s\n", BISE_COMMIT,
#ifdef __clang__
          "clang " __clang_version__
#else
          "gcc " __VERSION__
#endif
    );
    print("kernels     ");
    for (size_t i = 0; (isa = isa_built(i, &here)) != NULL; i++)
        print(" %s%s", isa, here ? "" : " (not in this CPU)");
    print("\n");
    print_huge_pages();
    print("threads      %d of %d CPUs that may be used\n", cpu_default_threads(), cpu_count());
    return EXIT_DONE;
}
