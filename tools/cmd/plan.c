/* bise plan: what a model will take of this machine's memory, before any of it is taken. */
#include "tools/common/output.h"
#include "tools/common/runtime.h"

#include <inttypes.h>

static void print_size(const char *what, uint64_t bytes, const char *note) {
    print("%-24s %10.1f MiB%s%s\n", what, (double)bytes / (1 << 20), note[0] ? "  " : "", note);
}

static void print_for_people(const struct bise_model_info *info, const struct bise_plan *p,
                             bool fits) {
    const uint32_t largest = p->largest_ctx;
    char note[128];
    snprintf(note, sizeof note, "%s", info->weight_type);
    print_size("weights", p->weights, note);
    char times[32] = "";
    if (p->n_seqs > 1)
        snprintf(times, sizeof times, "%" PRIu32 " times ", p->n_seqs);
    snprintf(note, sizeof note, "%s, %s%" PRIu32 " positions in %" PRIu32 " layers%s",
             bise_kv_name(p->kv), times, p->ring, info->n_layers,
             p->window ? ", a window that rolls" : "");
    print_size("cache", p->cache, note);
    snprintf(note, sizeof note, "chunks of %" PRIu32 ", %d thread%s", p->chunk, p->n_threads,
             p->n_threads == 1 ? "" : "s");
    print_size("scratch", p->scratch, note);
    print_size("total", p->total, "");
    print_size("this machine's memory", p->ram, "");
    print_size("available now", p->available, "");
    if (p->limit != UINT64_MAX)
        print_size("left of the cgroup", p->limit, "");
    print("%-24s %10" PRIu32 " tokens%s\n", "context", p->n_ctx,
          p->window ? " (how far back ids are kept)" : "");
    if (largest > 0)
        print("%-24s %10" PRIu32 " tokens%s\n", "largest that fits", largest,
              largest == 1u << 20 ? " or more" : "");
    if (fits)
        print("It fits.\n");
    else if (largest > 0)
        print("It does not fit; -c %" PRIu32 "%s%s would.\n", largest,
              p->kv_fits ? " or --kv " : "", p->kv_fits ? bise_kv_name(p->kv_fits) : "");
    else
        print(
            "It does not fit, with any context: a smaller model, or --type i4, is needed. Mapped\n"
            "weights (--mem mmap) beyond the memory would be read from the disk for every "
            "token.\n");
}

static void print_for_programs(const struct bise_plan *p, bool fits) {
    const bool other = p->kv_fits != BISE_KV_AUTO;
    const char *const quote = other ? "\"" : "";
    print("{\"weights\": %" PRIu64 ", \"cache\": %" PRIu64 ", \"scratch\": %" PRIu64
          ", \"total\": %" PRIu64 ", \"ram\": %" PRIu64 ", \"available\": %" PRIu64 ", ",
          p->weights, p->cache, p->scratch, p->total, p->ram, p->available);
    if (p->limit != UINT64_MAX)
        print("\"limit\": %" PRIu64 ", ", p->limit);
    else
        print("\"limit\": null, ");
    print("\"n_ctx\": %" PRIu32 ", \"window\": %" PRIu32 ", \"chunk\": %" PRIu32
          ", \"ring\": %" PRIu32 ", \"sequences\": %" PRIu32
          ", \"kv\": \"%s\", \"threads\": %d, \"fits\": %s, \"kv_that_fits\": %s%s%s, "
          "\"largest_context\": %" PRIu32 "}\n",
          p->n_ctx, p->window, p->chunk, p->ring, p->n_seqs, bise_kv_name(p->kv), p->n_threads,
          fits ? "true" : "false", quote, other ? bise_kv_name(p->kv_fits) : "null", quote,
          p->largest_ctx);
}

int cmd_plan(int argc, char **argv) {
    struct runtime_options o = RUNTIME_DEFAULTS;
    bool json = false;
    int code;
    struct option_def defs[RUNTIME_OPTIONS + 2];
    runtime_option_defs(&o, defs);
    defs[RUNTIME_OPTIONS] =
        (struct option_def){"--json", OPT_FLAG(&json), "print the numbers as JSON"};
    defs[RUNTIME_OPTIONS + 1] = (struct option_def){"-b|--batch", OPT_INT(&o.n_seqs, 1, 1024), "N",
                                                    "with N conversations at once (1)"};
    const char *argument = NULL;
    if (!options_parse(argc, argv, defs, RUNTIME_OPTIONS + 2, "bise plan [MODEL] [options]",
                       &argument, 1, &code) ||
        !runtime_argument(&o, argument, &code))
        return code;
    struct runtime e;
    struct bise_engine_params params;
    struct bise_error err = {0};
    enum bise_memory memory;
    code = runtime_choose(&e, &o, &params, &memory);
    if (code)
        return code;
    const enum bise_status status = runtime_peek(&e, &params, &err);
    if (status == BISE_OK || (status == BISE_ERR_MEMORY && e.model != NULL)) {
        if (json)
            print_for_programs(&e.plan, status == BISE_OK);
        else
            print_for_people(e.info, &e.plan, status == BISE_OK);
    }
    code = status == BISE_OK ? EXIT_DONE : report(status, &err);
    runtime_close(&e);
    return code;
}
