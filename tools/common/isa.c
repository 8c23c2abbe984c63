#include "tools/common/isa.h"

#include "src/os/cpu.h"
#include "tools/common/nearest.h"

#include <string.h>

const char *isa_built(size_t i, bool *in_this_cpu) {
    struct cpu_features cpu;
    cpu_detect(&cpu);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        if (!kernels_built((enum isa)isa) || i--)
            continue;
        *in_this_cpu = cpu.isa[isa];
        return isa_name((enum isa)isa);
    }
    return NULL;
}

const char *isa_current(const char *name) {
    if (strcmp(name, "amx") != 0)
        return name;
    static bool said;
    if (!said)
        complain("note: instruction set amx is gone since 0.2: avx512 is taken");
    said = true;
    return "avx512";
}

void isa_note_scalar(void) {
    struct cpu_features cpu;
    static bool said;
    cpu_detect(&cpu);
    if (!said && cpu_best_isa(&cpu) == ISA_SCALAR)
        complain("note: this CPU or build has no instruction set there are kernels for; only the "
                 "scalar reference is left, some 50 times slower than what any CPU of the last "
                 "years can do");
    said = true;
}

int isa_check(const char *name) {
    struct nearest near = {.word = name, .len = strlen(name)};
    const enum isa asked = isa_from_name(name);
    char list[160] = "";
    const char *known;
    bool usable;
    size_t n = 0;
    for (size_t i = 0; (known = isa_built(i, &usable)) != NULL; i++) {
        if (usable && strcmp(known, name) == 0)
            return EXIT_DONE;
        if (usable && n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, n ? ", %s" : "%s", known);
        if (usable)
            nearest_offer(&near, known);
    }
    if (asked == ISA_COUNT)
        return refuse(EXIT_USAGE,
                      "--isa: unknown instruction set \"%.40s\"%s%s%s; here there are %s", name,
                      near.best ? "; do you mean " : "", near.best ? near.best : "",
                      near.best ? "?" : "", list);
    return refuse(EXIT_USAGE, "--isa: instruction set %s: not in this %s; here there are %s", name,
                  kernels_built(asked) ? "CPU" : "build", list);
}
