#include "tools/edit/editor_search.h"

#include <string.h>

void search_begin(struct editor *e) {
    e->search.on = true;
    e->search.failed = false;
    e->search.match = e->history->n;
    if (e->search.query.bytes)
        edit_set(&e->search.query, "", 0);
}

/* Finds the query in the newest message before index end. */
static void find_query(struct editor *e, size_t end) {
    struct editor_search *s = &e->search;
    s->failed = false;
    if (!s->query.len)
        return;
    while (end--)
        if (strstr(e->history->lines[end], s->query.bytes)) {
            s->match = end;
            return;
        }
    s->failed = true;
}

/* Takes what was found as the text. */
static void accept_match(struct editor *e) {
    const size_t match = e->search.match;
    e->search.on = false;
    if (match >= e->history->n)
        return;
    const char *line = e->history->lines[match];
    if (e->at == e->history->n)
        edit_set(&e->draft, edit_bytes(&e->text), e->text.len);
    if (edit_set(&e->text, line, strlen(line))) {
        e->at = match;
        e->literal = true;
    }
}

bool search_key(struct editor *e, const struct key *key) {
    struct editor_search *s = &e->search;
    if (key->n) {
        edit_insert(&s->query, key->text, key->n);
        find_query(e, s->match < e->history->n ? s->match + 1 : e->history->n);
    }
    switch (key->action) {
    case EDIT_NONE:
        return true;
    case EDIT_SEARCH:
        find_query(e, s->match);
        return true;
    case EDIT_BACKSPACE:
        edit_delete(&s->query, edit_previous(&s->query, s->query.len), s->query.len);
        s->match = e->history->n;
        find_query(e, e->history->n);
        return true;
    case EDIT_CANCEL:
    case EDIT_INTERRUPT:
        s->on = false;
        return true;
    case EDIT_ENTER:
        if (s->failed || s->match >= e->history->n) { /* nothing was found: nothing is sent */
            s->on = false;
            return true;
        }
        accept_match(e);
        return false;
    default:
        accept_match(e);
        return false;
    }
}

void search_shown(const struct editor *e, struct buffer *prompt, struct screen_text *t) {
    const struct editor_search *s = &e->search;
    buffer_print(prompt, "(%s \"%s\") ",
                 s->failed ? "not found:" : "search:", edit_bytes(&s->query));
    t->prompt = prompt->bytes ? prompt->bytes : "";
    if (s->match >= e->history->n)
        return;
    t->text = e->history->lines[s->match];
    t->len = strlen(t->text);
    const char *found = s->query.len ? strstr(t->text, s->query.bytes) : NULL;
    t->cursor = found ? (size_t)(found - t->text) : 0;
}
