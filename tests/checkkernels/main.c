/* checkkernels: options, and which checks run on which instruction sets. */
#include "src/os/cpu.h"
#include "tests/checkkernels/checkkernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct check *const lists[] = {checks_matmul, checks_vector, checks_cache,
                                            checks_attention};
#define N_LISTS (sizeof lists / sizeof *lists)

struct options {
    uint64_t seed;
    enum isa isa;     /* ISA_COUNT: all */
    const char *slot; /* part of a name; NULL: all */
    bool bench;
};

static const char usage[] =
    "usage: checkkernels [--seed N] [--isa NAME] [--slot PART] [--bench]\n"
    "Compares every kernel with the scalar reference, bit for bit, and that with double\n"
    "precision. --bench then times those that passed; bise bench --kernels does so, too.\n";

static bool parse(struct options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        if (strcmp(argv[i], "--bench") == 0) {
            o->bench = true;
        } else if (value != NULL && strcmp(argv[i], "--seed") == 0) {
            o->seed = strtoull(value, &end, 0);
            if (*value == '\0' || *end != '\0')
                return false;
            i++;
        } else if (value != NULL && strcmp(argv[i], "--isa") == 0) {
            o->isa = isa_from_name(value);
            if (o->isa == ISA_COUNT)
                return false;
            i++;
        } else if (value != NULL && strcmp(argv[i], "--slot") == 0) {
            o->slot = value;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

/* FNV-1a of the slot's name, so that each slot has numbers of its own. */
static uint64_t start_state(uint64_t seed, const char *name) {
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h;
}

/* Runs one check on one table; false if anything failed. */
static bool run_check(const struct check *check, const struct kernels *k,
                      const struct kernels *scalar, const struct options *o) {
    struct run r = {.k = k, .ref = scalar, .check = check, .seed = o->seed};
    const bool is_scalar = k->isa == ISA_SCALAR;
    for (int place = 0; place < PLACE_COUNT; place++) {
        r.place = (enum place)place;
        case_inputs(&r, start_state(o->seed, check->name));
        (is_scalar ? check->oracle : check->compare)(&r);
        case_inputs(&r, start_state(o->seed, check->name));
        if (is_scalar) /* against itself: for the guard pages and the poison */
            check->compare(&r);
    }
    if (r.n_failures == 0)
        printf("%-13s %-20s ok, %d cases\n", k->name, check->name, r.n_cases);
    else
        printf("%-13s %-20s FAILED, %d failures in %d cases\n", k->name, check->name, r.n_failures,
               r.n_cases);
    return r.n_failures == 0;
}

#define N_SLOTS (sizeof(struct kernels) / sizeof(void (*)(void)))

struct counts {
    int passed, failed;
    bool ok[ISA_COUNT][N_SLOTS]; /* has been checked, and passed */
};

static size_t index_of(size_t slot) {
    return slot / sizeof(void (*)(void));
}

/* Whether tables[n], after tables[0..n-1], is to be checked at this slot: not if an earlier table
 * has the same function. */
static bool wanted(const struct kernels *tables, int n, size_t slot, const struct options *o) {
    const enum isa isa = tables[n].isa;
    for (int i = 0; i < n; i++)
        if (same_slot(&tables[n], &tables[i], slot))
            return false;
    return o->isa == ISA_COUNT || o->isa == isa;
}

/* Whether the slot at this offset is on a list of checks, and on that of benchmarks. */
static bool has_check(size_t slot) {
    const struct slot *timed = slots;
    while (timed->name && timed->slot != slot)
        timed++;
    for (size_t l = 0; l < N_LISTS; l++)
        for (const struct check *c = lists[l]; c->name != NULL; c++)
            if (c->slot == slot)
                return timed->name != NULL;
    return false;
}

/* Slots of the table without a check or benchmark: everything from the first slot on is one. */
static int unchecked_slots(void) {
    int n = 0;
    for (size_t slot = offsetof(struct kernels, matmul_f32_q128_i4); slot < sizeof(struct kernels);
         slot += sizeof(void (*)(void))) {
        if (has_check(slot))
            continue;
        printf("FAILED: no check or no benchmark of the slot at byte %zu of struct kernels\n",
               slot);
        n++;
    }
    return n;
}

static void run_isa(const struct kernels *tables, int n, const struct options *o,
                    struct counts *counts) {
    for (size_t l = 0; l < N_LISTS; l++) {
        for (const struct check *c = lists[l]; c->name != NULL; c++) {
            if (!wanted(tables, n, c->slot, o) ||
                (o->slot != NULL && strstr(c->name, o->slot) == NULL))
                continue;
            const bool ok = run_check(c, &tables[n], &tables[0], o);
            counts->ok[tables[n].isa][index_of(c->slot)] = ok;
            counts->passed += ok;
            counts->failed += !ok;
        }
    }
}

/* ---- bench ------------------------------------------------------------------------------- */

static bool has_passed(void *arg, size_t slot, const struct kernels *k) {
    const struct counts *const counts = arg;
    return counts->ok[k->isa][index_of(slot)];
}

static int bench(const struct kernels *tables, int n, struct counts *counts) {
    static struct slots_result result;
    const struct slots_wish wish = {
        .tables = tables, .n_tables = (size_t)n, .wanted = has_passed, .arg = counts};
    struct bise_error err;
    if (slots_measure(&result, &wish, &err) != BISE_OK) {
        fprintf(stderr, "checkkernels: %s\n", err.detail);
        return 1;
    }
    printf("\n%-20s %-12s %-20s %11s %8s %8s %7s %9s\n", "slot", "isa", "shape", "us", "GB/s",
           "GMAC/s", "share", "scalar");
    for (const struct slot_row *row = result.rows; row < result.rows + result.n; row++) {
        printf("%-20s %-12s %-20s %11.2f %8.2f %8.2f", row->slot, isa_name(row->isa), row->shape,
               row->seconds * 1e6, slot_gbs(row), slot_gmacs(row));
        printf(row->limit > 0 ? " %5.0f %%" : "       -", 100 * slot_share(row));
        printf(row->over_scalar > 0 ? " %8.1fx\n" : "         -\n", row->over_scalar);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options o = {.seed = (uint64_t)time(NULL), .isa = ISA_COUNT};
    if (!parse(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu (repeat with --seed %llu)\n", (unsigned long long)o.seed,
           (unsigned long long)o.seed);
    struct cpu_features cpu;
    cpu_detect(&cpu);
    o.bench = o.bench && (o.isa == ISA_COUNT || cpu.isa[o.isa]);
    struct kernels tables[ISA_COUNT];
    int n = 0;
    struct counts counts = {.failed = unchecked_slots()};
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        if (!kernels_built((enum isa)isa))
            continue; /* of another architecture */
        if (cpu.isa[isa] && kernels_init(&tables[n], (enum isa)isa))
            run_isa(tables, n++, &o, &counts);
        else if (o.isa == ISA_COUNT || o.isa == (enum isa)isa)
            printf("skipped %s: CPU lacks it\n", isa_name((enum isa)isa));
    }
    const int failed = o.bench ? bench(tables, n, &counts) : 0;
    printf("%d passed, %d failed\n", counts.passed, counts.failed);
    return failed || counts.failed > 0;
}
