#include "tools/serve/metrics.h"

#include "src/os/mem.h"

static void put(struct buffer *out, const char *name, const char *kind, const char *help,
                double value) {
    buffer_print(out, "# HELP bise_%s %s\n# TYPE bise_%s %s\nbise_%s %.15g\n", name, help, name,
                 kind, name, value);
}

static double of(const atomic_ulong *n) {
    return (double)atomic_load(n);
}

void metrics_print(const struct metrics *m, struct buffer *out) {
    buffer_text(out, "# HELP bise_requests_total Requests answered, by status.\n"
                     "# TYPE bise_requests_total counter\n");
    for (int i = 2; i < 6; i++)
        buffer_print(out, "bise_requests_total{status=\"%dxx\"} %lu\n", i,
                     atomic_load(&m->requests[i]));
    put(out, "cancelled_total", "counter", "Requests whose client left.", of(&m->cancelled));
    put(out, "prompt_tokens_total", "counter", "Tokens of prompts.", of(&m->prompt_tokens));
    put(out, "cached_tokens_total", "counter", "Of these, found in the cache.",
        of(&m->cached_tokens));
    put(out, "read_tokens_total", "counter", "Tokens read by the engine.", of(&m->read_tokens));
    put(out, "written_tokens_total", "counter", "Tokens of answers.", of(&m->written_tokens));
    put(out, "steps_total", "counter", "Steps of the engine.", of(&m->steps));
    put(out, "step_seconds_total", "counter", "Time they took.", 1e-6 * of(&m->step_us));
    put(out, "first_token_seconds_sum", "counter", "Time from request to first token.",
        1e-6 * of(&m->first_token_us));
    put(out, "first_token_seconds_count", "counter", "Of so many requests.", of(&m->first_tokens));
    put(out, "queued", "gauge", "Answers that wait for a sequence.",
        (double)atomic_load(&m->queued));
    put(out, "busy_sequences", "gauge", "Sequences that read or write.",
        (double)atomic_load(&m->busy));
    put(out, "connections", "gauge", "Open connections.", (double)atomic_load(&m->connections));
    put(out, "resident_bytes", "gauge", "Resident memory.", (double)mem_resident());
}
