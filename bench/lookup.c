/*
 * lookup: what drafts from the text itself gain (bise run --lookup), from two measurements: how
 * often they come true in an answer that is at hand, and what calls of each length take (verify's
 * table). The answer is taken as what the model would say; its policy is the program's own.
 *
 * usage: lookup MODEL PROMPT_FILE ANSWER_FILE VERIFY_TABLE [MAX]
 */
#include "src/sampling/lookup.h"
#include "src/bise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ids {
    int32_t *ids;
    size_t n;
};

static bool add_file(struct ids *list, const struct bise_model *m, const char *path) {
    static char text[1 << 20];
    struct bise_error err = {.detail = "cannot be read"};
    FILE *f = fopen(path, "rb");
    const size_t len = f ? fread(text, 1, sizeof text, f) : 0;
    size_t n = 0;
    if (f)
        fclose(f);
    int32_t *grown = realloc(list->ids, (list->n + 3 * len + 4) * sizeof *grown);
    if (grown)
        list->ids = grown;
    if (!f || !grown ||
        bise_tokenize(m, text, len, list->ids + list->n, 3 * len + 4, &n, &err) != BISE_OK) {
        fprintf(stderr, "lookup: %s: %s\n", path, err.detail);
        return false;
    }
    list->n += n;
    return true;
}

/* seconds [LOOKUP_MAX + 2] from the table's lines "| tokens | ms | ...". */
static bool read_table(const char *path, double *seconds) {
    char line[256];
    size_t known = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        size_t n;
        double ms;
        if (sscanf(line, "| %zu | %lf |", &n, &ms) == 2 && n >= 1 && n <= LOOKUP_MAX + 1) {
            seconds[n] = ms / 1e3;
            known++;
        }
    }
    if (f)
        fclose(f);
    if (known <= LOOKUP_MAX)
        fprintf(stderr, "lookup: %s: expected verify's table of 15 lengths\n", path);
    return known > LOOKUP_MAX;
}

static void simulate(const struct ids *list, size_t n_prompt, const double *seconds, size_t max) {
    struct lookup l;
    double total = 0;
    size_t calls = 0, drafted = 0, taken = 0;
    lookup_begin(&l);
    for (size_t at = n_prompt; at < list->n;) { /* ids[at] has been picked and is to be run */
        int32_t guess[LOOKUP_MAX];
        size_t match, hits = 0;
        const size_t n_guess = lookup_find(list->ids, at + 1, guess, max, &match);
        const size_t k = lookup_choose(&l, match, n_guess);
        total += seconds[k + 1];
        lookup_timed(&l, k + 1, seconds[k + 1]);
        /* What came after the call's last good id is judged as well, as in tools/speculate.c. */
        for (size_t i = 0; i < n_guess && i <= k && at + 1 + i < list->n; i++) {
            const bool hit = guess[i] == list->ids[at + 1 + i];
            lookup_learn(&l, match + i, hit);
            if (!hit)
                break;
            hits += i < k;
        }
        at += 1 + hits;
        calls++;
        drafted += k;
        taken += hits;
    }
    const size_t n = list->n - n_prompt;
    printf("%zu tokens in %zu calls (%.2f a call), %zu of %zu drafted taken; %.2f times as fast\n",
           n, calls, (double)n / (double)calls, taken, drafted, (double)n * seconds[1] / total);
}

int main(int argc, char **argv) {
    const size_t max = argc > 5 ? strtoul(argv[5], NULL, 10) : LOOKUP_MAX;
    const struct bise_model_params params = {.no_tensors = true};
    struct bise_model *model = NULL;
    struct bise_error err;
    struct ids list = {NULL, 0};
    double seconds[LOOKUP_MAX + 2] = {0};
    if (argc < 5 || max > LOOKUP_MAX) {
        fprintf(stderr, "usage: lookup MODEL PROMPT_FILE ANSWER_FILE VERIFY_TABLE [MAX]\n");
        return 2;
    }
    bool good = bise_model_open(&model, argv[1], &params, &err) == BISE_OK;
    if (!good)
        fprintf(stderr, "lookup: %s\n", err.detail);
    good = good && add_file(&list, model, argv[2]);
    const size_t n_prompt = list.n;
    good = good && add_file(&list, model, argv[3]) && read_table(argv[4], seconds);
    if (good)
        simulate(&list, n_prompt, seconds, max);
    free(list.ids);
    bise_model_close(&model);
    return good ? 0 : 1;
}
