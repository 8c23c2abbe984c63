/* Scores of categories: the tree of names against each name run by itself. */
#include "tools/common/moderation.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Whether names i and j have their first n ids in common, and j goes on. */
static bool shares(const struct moderation *m, int i, int j, size_t n) {
    return m->n_name[i] > n && m->n_name[j] > n &&
           memcmp(m->names[i], m->names[j], n * sizeof m->names[i][0]) == 0;
}

/* The share of name i's next id among all ids that names with the same beginning go on with. */
static double share(const struct moderation *m, const float *logits, int i, size_t at) {
    double sum = 0;
    for (int j = 0; j < N_CATEGORIES; j++) {
        bool counted = !shares(m, i, j, at);
        for (int k = 0; k < j && !counted; k++) /* each id once */
            counted = shares(m, i, k, at) && m->names[k][at] == m->names[j][at];
        if (!counted)
            sum += exp((double)logits[m->names[j][at]] - (double)logits[m->names[i][at]]);
    }
    return 1 / sum;
}

/* first [vocab_size]: logits of the question's last id. */
static double alone(struct moderation *m, const float *first, uint64_t end, int i) {
    double p = 1;
    cr_assert_eq(bise_truncate(m->session, end, NULL), BISE_OK);
    for (size_t at = 0; at < m->n_name[i]; at++) {
        p *= share(m, at ? bise_logits(m->session) : first, i, at);
        cr_assert_eq(bise_decode(m->session, m->names[i][at], NULL), BISE_OK);
    }
    return p;
}

Test(moderation, a_tree_of_names_gives_what_each_name_gives_alone) {
    static float first[1 << 15];
    struct runtime_options o = RUNTIME_DEFAULTS;
    struct runtime e;
    struct moderation m;
    struct verdict v;
    const char *const text = "The king has three sons.";
    const int32_t *ids;
    size_t n;
    o.model = "models/demo.bise";
    o.threads = 1;
    cr_assert_eq(runtime_open(&e, &o), EXIT_DONE);
    cr_assert_leq(e.info->vocab_size, sizeof first / sizeof first[0]);
    cr_assert_eq(moderation_open(&m, &e, NULL, CHAT_V1), EXIT_DONE);
    cr_assert_eq(moderation_judge(&m, CHAT_USER, text, strlen(text), &v, NULL), BISE_OK);
    cr_assert_eq(chat_ids(m.chat, &ids, &n, NULL), BISE_OK);
    bise_reset(m.session);
    cr_assert_eq(bise_prefill(m.session, ids, n, NULL, NULL, NULL), BISE_OK);
    memcpy(first, bise_logits(m.session), e.info->vocab_size * sizeof *first);
    double sum = 0;
    for (int i = 0; i < N_CATEGORIES; i++) {
        const double p = alone(&m, first, n, i);
        cr_expect(fabs(p - v.p[i]) < 1e-9, "%s: %g, alone %g", moderation_category(i), v.p[i], p);
        sum += v.p[i];
    }
    cr_expect(fabs(sum - 1) < 1e-9);
    moderation_close(&m);
    runtime_close(&e);
}

/* A model and what judges by it; window -1: the model's. */
struct judge {
    struct runtime runtime;
    struct moderation m;
};

static void judge_open(struct judge *j, int64_t window) {
    struct runtime_options o = RUNTIME_DEFAULTS;
    o.model = "models/demo.bise";
    o.threads = 1;
    o.window = window;
    o.n_ctx = 2048;
    cr_assert_eq(runtime_open(&j->runtime, &o), EXIT_DONE);
    cr_assert_eq(moderation_open(&j->m, &j->runtime, NULL, CHAT_V1), EXIT_DONE);
}

static struct verdict judge(struct judge *j, enum chat_role role, const char *text) {
    struct bise_error err = {0};
    struct verdict v;
    cr_assert_eq(moderation_judge(&j->m, role, text, strlen(text), &v, &err), BISE_OK, "%s",
                 err.detail);
    return v;
}

static void judge_close(struct judge *j) {
    moderation_close(&j->m);
    runtime_close(&j->runtime);
}

Test(moderation, what_was_judged_before_changes_nothing) {
    static const char *const texts[] = {"The king has three sons.",
                                        "The king has",
                                        "The king has three sons. The king has three sons. Now two",
                                        "The king has three sons. The king has three sons. Now one",
                                        "",
                                        "A dog"};
    for (int64_t window = -1; window <= 0; window++) {
        struct judge all, alone;
        judge_open(&all, window);
        for (size_t i = 0; i < 2 * sizeof texts / sizeof texts[0]; i++) {
            const enum chat_role role = i % 4 == 3 ? CHAT_ASSISTANT : CHAT_USER;
            const char *text = texts[i / 2];
            judge_open(&alone, window);
            const struct verdict v = judge(&all, role, text), expected = judge(&alone, role, text);
            for (int k = 0; k < N_CATEGORIES; k++)
                cr_expect_eq(v.p[k], expected.p[k], "judgement %zu", i);
            judge_close(&alone);
        }
        judge_close(&all);
    }
}
