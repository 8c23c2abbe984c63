#include "tools/serve/grammars.h"

#include "src/base/error.h"

#include <stdlib.h>
#include <string.h>

void grammars_open(struct grammars *g, const struct bise_model *model) {
    *g = (struct grammars){.model = model};
    pthread_mutex_init(&g->lock, NULL);
}

void grammars_close(struct grammars *g) {
    for (size_t i = 0; i < GRAMMARS_KEPT; i++) {
        bise_grammar_close(&g->kept[i].grammar);
        free(g->kept[i].text);
    }
    pthread_mutex_destroy(&g->lock);
}

enum bise_status grammars_take(struct grammars *g, const char *text, size_t len, bool is_schema,
                               struct grammar_loan *loan, struct bise_error *err) {
    *loan = (struct grammar_loan){.len = len, .is_schema = is_schema};
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < GRAMMARS_KEPT && !loan->grammar; i++) {
        struct grammar_kept *k = &g->kept[i];
        if (k->text && k->is_schema == is_schema && k->len == len &&
            memcmp(k->text, text, len) == 0) {
            loan->grammar = k->grammar;
            loan->text = k->text;
            *k = (struct grammar_kept){.text = NULL};
        }
    }
    pthread_mutex_unlock(&g->lock);
    if (loan->grammar)
        return BISE_OK;
    loan->text = malloc(len + 1);
    if (!loan->text)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the grammar");
    memcpy(loan->text, text, len);
    const enum bise_status status =
        is_schema ? bise_grammar_open_schema(&loan->grammar, g->model, text, len, err)
                  : bise_grammar_open(&loan->grammar, g->model, text, len, err);
    if (status) {
        free(loan->text);
        *loan = (struct grammar_loan){.grammar = NULL};
    }
    return status;
}

void grammars_give(struct grammars *g, struct grammar_loan *loan) {
    if (!loan->grammar)
        return;
    pthread_mutex_lock(&g->lock);
    struct grammar_kept *k = &g->kept[0]; /* a free place, or the one unused for longest */
    for (size_t i = 1; i < GRAMMARS_KEPT && k->text; i++)
        if (!g->kept[i].text || g->kept[i].used < k->used)
            k = &g->kept[i];
    struct grammar_kept old = *k;
    *k = (struct grammar_kept){loan->text, loan->len, loan->is_schema, loan->grammar, ++g->clock};
    pthread_mutex_unlock(&g->lock);
    bise_grammar_close(&old.grammar);
    free(old.text);
    *loan = (struct grammar_loan){.grammar = NULL};
}
