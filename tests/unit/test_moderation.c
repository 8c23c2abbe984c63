/* Scores of categories: the tree of names against each name run by itself. */
#include "tools/moderation.h"

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
    struct engine_options o = ENGINE_DEFAULTS;
    struct engine e;
    struct moderation m;
    struct verdict v;
    const char *const text = "The king has three sons.";
    const int32_t *ids;
    size_t n;
    o.model = "models/demo.bise";
    o.threads = 1;
    cr_assert_eq(engine_open(&e, &o), EXIT_DONE);
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
    engine_close(&e);
}
