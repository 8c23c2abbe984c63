/* bise bench --kernels: every slot of the kernel table on every instruction set of this CPU. */
#include "src/base/error.h"
#include "src/os/cpu.h"
#include "tools/cmd/bench.h"
#include "tools/cmd/table.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show_progress(void *arg, const char *slot) {
    (void)arg;
    if (isatty(STDERR_FILENO))
        say("\rkernels: %s \033[K", slot);
}

enum bise_status bench_measure_kernels(struct slots_result *k, const char *part,
                                       struct bise_error *err) {
    struct kernels tables[ISA_COUNT];
    struct slots_wish wish = {.tables = tables,
                              .brief = true,
                              .part = part,
                              .progress = show_progress,
                              .stop = interrupt_word()};
    struct cpu_features cpu;
    cpu_detect(&cpu);
    for (int i = 0; i < ISA_COUNT; i++)
        if (cpu.isa[i] && kernels_init(&tables[wish.n_tables], (enum isa)i))
            wish.n_tables++;
    enum bise_status s = slots_measure(k, &wish, err);
    if (s == BISE_OK && k->n == 0)
        s = bise_fail(err, BISE_ERR_ARG, "--slot: no kernel has \"%s\" in its name", part);
    if (isatty(STDERR_FILENO))
        say("\r\033[K");
    return s;
}

static bool multiplies(const struct slot_row *row) {
    return row->op != PEAK_READ;
}

void bench_table_kernels(struct buffer *b, const struct slots_result *k, bool md, size_t wide) {
    static const char *const head[] = {"kernel", "shape", "isa", "us", "rate", "share", "x", ""};
    struct table t = {.head = head,
                      .n_columns = sizeof head / sizeof *head,
                      .n_left = 3,
                      .wide = wide,
                      .spare = "g"};
    for (const struct slot_row *row = k->rows; row < k->rows + k->n; row++) {
        table_cell *const cell = table_row(&t);
        snprintf(cell[0], TABLE_CELL, "%s", row->slot);
        snprintf(cell[1], TABLE_CELL, "%.*s", TABLE_CELL - 1, row->shape);
        snprintf(cell[2], TABLE_CELL, "%s", isa_name(row->isa));
        snprintf(cell[3], TABLE_CELL, "%.2f", row->seconds * 1e6);
        snprintf(cell[4], TABLE_CELL, "%.1f %s", multiplies(row) ? slot_gmacs(row) : slot_gbs(row),
                 multiplies(row) ? "GMAC/s" : "GB/s");
        snprintf(cell[5], TABLE_CELL, "-");
        if (row->limit > 0)
            snprintf(cell[5], TABLE_CELL, "%.0f %%", 100 * slot_share(row));
        snprintf(cell[6], TABLE_CELL, "-");
        if (row->over_scalar > 0)
            snprintf(cell[6], TABLE_CELL, "%.3g", row->over_scalar);
        if (row->of != row->isa)
            snprintf(cell[7], TABLE_CELL, "= %s", isa_name(row->of));
    }
    buffer_print(b,
                 "\nKernels, one thread (share: of what the instructions give on registers, or\n"
                 "memory, or the first level's cache; x: beside scalar; shapes are columns x\n"
                 "weights of a row x rows, queries x positions, or elements)\n%s",
                 md ? "\n" : "");
    table_print(b, &t, md);
    table_free(&t);
}

void bench_csv_kernels(struct buffer *b, const struct slots_result *k) {
    buffer_text(b, "\nkernel,shape,isa,of,seconds,gbs,gmacs,limit_seconds,share,over_scalar\n");
    for (const struct slot_row *row = k->rows; row < k->rows + k->n; row++) {
        buffer_print(b, "%s,\"%s\",%s,%s,%.4g,", row->slot, row->shape, isa_name(row->isa),
                     isa_name(row->of), row->seconds);
        buffer_print(b, "%.4g,%.4g,%.4g,%.4f,%.4g\n", slot_gbs(row), slot_gmacs(row), row->limit,
                     slot_share(row), row->over_scalar);
    }
}

/* "name": x, or null where x is 0. */
static void put_known(struct buffer *b, const char *name, double x) {
    if (x > 0)
        buffer_print(b, ", \"%s\": %.4g", name, x);
    else
        buffer_print(b, ", \"%s\": null", name);
}

void bench_json_kernels(struct buffer *b, const struct slots_result *k) {
    if (k == NULL) {
        buffer_text(b, "  \"kernels\": null\n");
        return;
    }
    buffer_text(b, "  \"kernels\": [");
    for (const struct slot_row *row = k->rows; row < k->rows + k->n; row++) {
        buffer_print(b, "%s\n    {\"kernel\": \"%s\", \"shape\": \"%s\", \"isa\": \"%s\", ",
                     row == k->rows ? "" : ",", row->slot, row->shape, isa_name(row->isa));
        buffer_print(b, "\"of\": \"%s\", \"seconds\": %.4g, \"bytes\": %.0f, \"macs\": %.0f",
                     isa_name(row->of), row->seconds, row->bytes, row->macs);
        put_known(b, "gbs", slot_gbs(row));
        put_known(b, "gmacs", slot_gmacs(row));
        put_known(b, "share", slot_share(row));
        put_known(b, "over_scalar", row->over_scalar);
        buffer_text(b, "}");
    }
    buffer_text(b, "\n  ]\n");
}
