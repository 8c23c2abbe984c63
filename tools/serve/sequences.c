#include "tools/serve/sequences.h"

#include <stdlib.h>
#include <string.h>

size_t common_ids(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b) {
    const size_t n = n_a < n_b ? n_a : n_b;
    size_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* What is there of ids, the last of which is run in any case: its logits are wanted. */
static size_t usable(const struct sequence *q, const int32_t *ids, size_t n, uint32_t key) {
    if (!q->n_held || q->key != key)
        return 0;
    return common_ids(q->ids.ids, q->n_held, ids, n - 1);
}

/* Whether the prompt goes on with the sequence's conversation, or asks the same again. */
static bool goes_on_with(const struct sequence *q, const int32_t *ids, size_t n, uint32_t key) {
    if (!q->n_held || q->key != key)
        return false;
    if (q->n_stable && n >= q->n_stable && memcmp(ids, q->stable, q->n_stable * sizeof *ids) == 0)
        return true;
    return common_ids(q->ids.ids, q->n_held, ids, n) >= q->n_prompt;
}

bool sequences_place(const struct sequence *s, uint32_t n_seqs, const int32_t *ids, size_t n,
                     uint32_t key, struct placement *p) {
    uint32_t oldest = n_seqs, over = n_seqs;
    size_t most = 0;
    for (uint32_t i = 0; i < n_seqs; i++) {
        if (s[i].choice)
            continue;
        if (oldest == n_seqs || s[i].used < s[oldest].used)
            oldest = i;
        const size_t common = usable(&s[i], ids, n, key);
        if (goes_on_with(&s[i], ids, n, key) && (over == n_seqs || common > most)) {
            over = i;
            most = common;
        }
    }
    if (oldest == n_seqs)
        return false;
    *p = (struct placement){over, over, most};
    if (over != n_seqs)
        return true;
    *p = (struct placement){oldest, oldest, n};
    sequences_next_source(s, n_seqs, ids, n, key, p);
    return true;
}

bool sequences_next_source(const struct sequence *s, uint32_t n_seqs, const int32_t *ids, size_t n,
                           uint32_t key, struct placement *p) {
    const size_t below = p->common;
    p->from = p->to;
    p->common = 0;
    for (uint32_t i = 0; i < n_seqs; i++) {
        const size_t common = usable(&s[i], ids, n, key);
        if (common < below && (common > p->common || (common == p->common && i == p->to))) {
            p->common = common;
            p->from = i;
        }
    }
    return p->common > 0;
}

bool sequence_set(struct sequence *q, const int32_t *ids, size_t n, size_t n_held) {
    q->n_held = 0;
    if (!id_list_reserve(&q->ids, n))
        return false;
    memcpy(q->ids.ids, ids, n * sizeof *ids);
    q->ids.n = n;
    q->n_held = n_held;
    return true;
}

void sequence_forget(struct sequence *q) {
    q->n_held = 0;
    q->n_prompt = 0;
    q->n_stable = 0;
    free(q->stable);
    q->stable = NULL;
    free(q->foreseen);
    q->foreseen = NULL;
    q->n_foreseen = 0;
}
