#include "tools/edit/editor.h"

#include <string.h>

/* ---- Ctrl-R: searching the history ---- */

static void search_begin(struct editor *e) {
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

/* A key while searching. True: it has been dealt with; false: the search is over, what was found is
 * the text, and the key is to be treated as usual. */
static bool search_key(struct editor *e, const struct key *key) {
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

/* What stands in the place of prompt and text, in *prompt and *t. */
static void search_shown(const struct editor *e, struct buffer *prompt, struct screen_text *t) {
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

/* ---- messages of several lines ---- */

#define QUOTES "\"\"\""

/* Whether the text began with quotes, so that Enter is a line break until they are closed. */
static bool is_quoted(const struct editor *e) {
    return !e->literal && e->text.len >= 3 && memcmp(e->text.bytes, QUOTES, 3) == 0;
}

/* Where the quotes that close the text begin; 0: it is not closed. */
static size_t closing_quotes(const struct editor *e) {
    size_t n = e->text.len;
    while (n && strchr(" \t\n", e->text.bytes[n - 1]))
        n--;
    return n >= 6 && memcmp(e->text.bytes + n - 3, QUOTES, 3) == 0 ? n - 3 : 0;
}

/* A text ends in a backslash that no other one takes the meaning from. */
static bool ends_in_backslash(const struct edit_text *t) {
    size_t n = 0;
    while (n < t->len && t->bytes[t->len - 1 - n] == '\\')
        n++;
    return n % 2;
}

static enum editor_event press_enter(struct editor *e) {
    struct edit_text *t = &e->text;
    if (is_quoted(e) && !closing_quotes(e)) {
        edit_insert(t, "\n", 1);
        return EDITOR_NONE;
    }
    if (!is_quoted(e) && t->cursor == t->len && e->last != EDIT_PASTE_END && ends_in_backslash(t)) {
        edit_delete(t, t->len - 1, t->len);
        edit_insert(t, "\n", 1);
        return EDITOR_NONE;
    }
    return EDITOR_MESSAGE;
}

const char *editor_message(struct editor *e, size_t *len) {
    const size_t end = is_quoted(e) ? closing_quotes(e) : 0;
    *len = e->text.len;
    if (!end)
        return edit_bytes(&e->text);
    size_t from = 3, to = end;
    from += e->text.bytes[from] == '\n';
    to -= to > from && e->text.bytes[to - 1] == '\n';
    e->text.bytes[to] = 0;
    *len = to - from;
    return e->text.bytes + from;
}

/* ---- killing ---- */

static bool is_kill(enum edit_action action) {
    return action >= EDIT_KILL_END && action <= EDIT_KILL_WORD_RIGHT;
}

/* Takes text away and keeps it for Ctrl-Y, together with what the key before took. */
static void kill_text(struct editor *e, size_t from, size_t to) {
    const bool backwards = to == e->text.cursor && from < to;
    if (from >= to)
        return;
    if (!is_kill(e->last))
        edit_set(&e->killed, "", 0);
    e->killed.cursor = backwards ? 0 : e->killed.len;
    edit_insert(&e->killed, e->text.bytes + from, to - from);
    edit_delete(&e->text, from, to);
}

static void kill_to_end(struct editor *e) {
    struct edit_text *t = &e->text;
    const size_t end = edit_line_end(t, t->cursor);
    kill_text(e, t->cursor, end == t->cursor && end < t->len ? end + 1 : end);
}

/* ---- history ---- */

/* Shows the message of this index. */
static void recall_message(struct editor *e, size_t at) {
    const struct history *h = e->history;
    if (at == e->at)
        return;
    if (e->at == h->n && !edit_set(&e->draft, edit_bytes(&e->text), e->text.len))
        return;
    const char *line = at < h->n ? h->lines[at] : edit_bytes(&e->draft);
    if (!edit_set(&e->text, line, strlen(line)))
        return;
    e->literal = at < h->n;
    e->at = at;
}

static void line_up(struct editor *e) {
    const size_t above = edit_line_above(&e->text, e->text.cursor);
    if (above != e->text.cursor)
        e->text.cursor = above;
    else if (e->at)
        recall_message(e, e->at - 1);
}

static void line_down(struct editor *e) {
    const size_t below = edit_line_below(&e->text, e->text.cursor);
    if (below != e->text.cursor)
        e->text.cursor = below;
    else if (e->at < e->history->n)
        recall_message(e, e->at + 1);
}

/* ---- what is seen ---- */

/* What stands on the terminal; prompt is to be freed afterwards. */
static struct screen_text text_shown(const struct editor *e, struct buffer *prompt) {
    struct screen_text t = {
        .prompt = e->prompt,
        .prompt_on = e->prompt_on,
        .prompt_off = e->prompt_off,
        .text = edit_bytes(&e->text),
        .len = e->text.len,
        .cursor = e->text.cursor,
    };
    if (e->search.on)
        search_shown(e, prompt, &t);
    return t;
}

void editor_draw(struct editor *e) {
    struct buffer prompt = {.len = 0};
    const struct screen_text t = text_shown(e, &prompt);
    if (!e->keys.pasting) /* all of it at once, when it is there */
        screen_draw(&e->screen, &t, &e->out);
    buffer_free(&prompt);
}

void editor_leave(struct editor *e) {
    struct buffer prompt = {.len = 0};
    e->search.on = false;
    const struct screen_text t = text_shown(e, &prompt);
    screen_leave(&e->screen, &t, &e->out);
    buffer_free(&prompt);
}

void editor_resize(struct editor *e, size_t cols, size_t rows) {
    struct buffer prompt = {.len = 0};
    const struct screen_text t = text_shown(e, &prompt);
    screen_resize(&e->screen, &t, cols, rows);
    buffer_free(&prompt);
}

/* ---- completion ---- */

/* Below the text, in columns; the text is then drawn anew below them. */
static void list_offers(struct editor *e, const struct completion *offer) {
    size_t width = 1;
    for (size_t i = 0; i < offer->n; i++)
        if (strlen(offer->items[i]) + 2 > width)
            width = strlen(offer->items[i]) + 2;
    const size_t per_row = e->screen.cols / width ? e->screen.cols / width : 1;
    editor_leave(e);
    for (size_t i = 0; i < offer->n; i++) {
        const bool last = i + 1 == offer->n || (i + 1) % per_row == 0;
        buffer_print(&e->out, "%-*s%s", last ? 0 : (int)width, offer->items[i], last ? "\r\n" : "");
    }
}

static void complete_word(struct editor *e) {
    struct edit_text *t = &e->text;
    struct completion offer = {.n = 0};
    size_t start = 0;
    if (!e->complete || t->cursor != t->len || !t->len)
        return;
    e->complete(&offer, t->bytes, &start);
    const size_t word = t->len - start;
    size_t common = completion_common(&offer);
    /* Characters may begin alike and not end alike. */
    while (common > word && ((unsigned char)offer.items[0][common] & 0xc0) == 0x80)
        common--;
    if (common > word)
        edit_insert(t, offer.items[0] + word, common - word);
    if (offer.n == 1 && t->bytes[t->len - 1] != '/')
        edit_insert(t, " ", 1);
    if (offer.n > 1 && common <= word && e->last == EDIT_COMPLETE)
        list_offers(e, &offer);
    completion_free(&offer);
}

/* ---- keys ---- */

/* Ctrl-C gives up the text, which Ctrl-Y brings back; where there is none, the chat. */
static enum editor_event interrupt(struct editor *e) {
    if (!e->text.len)
        return EDITOR_INTERRUPT;
    editor_leave(e);
    edit_set(&e->killed, e->text.bytes, e->text.len);
    editor_begin(e, "");
    return EDITOR_NONE;
}

static void take_paste(struct editor *e, const struct key *key) {
    e->search.on = false;
    edit_insert(&e->pasted, key->text, key->n);
    if (key->action != EDIT_PASTE_END)
        return;
    e->literal = e->literal || !e->text.len;
    edit_insert(&e->text, edit_bytes(&e->pasted), e->pasted.len);
    edit_free(&e->pasted);
}

static enum editor_event end_or_delete(struct editor *e) {
    struct edit_text *t = &e->text;
    if (!t->len)
        return EDITOR_END;
    edit_delete(t, t->cursor, edit_next(t, t->cursor));
    return EDITOR_NONE;
}

/* Actions that move the cursor; false for all others. */
static bool move_cursor(struct edit_text *t, enum edit_action action) {
    static size_t (*const to[EDIT_ACTION_COUNT])(const struct edit_text *, size_t) = {
        [EDIT_LEFT] = edit_previous,           [EDIT_RIGHT] = edit_next,
        [EDIT_WORD_LEFT] = edit_word_previous, [EDIT_WORD_RIGHT] = edit_word_next,
        [EDIT_LINE_START] = edit_line_start,   [EDIT_LINE_END] = edit_line_end,
    };
    if (!to[action])
        return false;
    t->cursor = to[action](t, t->cursor);
    return true;
}

/* Actions that take text away. */
static void remove_text(struct editor *e, enum edit_action action) {
    struct edit_text *t = &e->text;
    const size_t at = t->cursor;
    switch (action) {
    case EDIT_BACKSPACE:
        edit_delete(t, edit_previous(t, at), at);
        break;
    case EDIT_DELETE:
        edit_delete(t, at, edit_next(t, at));
        break;
    case EDIT_KILL_END:
        kill_to_end(e);
        break;
    case EDIT_KILL_START:
        kill_text(e, edit_line_start(t, at), at);
        break;
    case EDIT_KILL_SPACE:
        kill_text(e, edit_space_previous(t, at), at);
        break;
    case EDIT_KILL_WORD_LEFT:
        kill_text(e, edit_word_previous(t, at), at);
        break;
    case EDIT_KILL_WORD_RIGHT:
        kill_text(e, at, edit_word_next(t, at));
        break;
    default:
        break;
    }
}

static enum editor_event do_action(struct editor *e, enum edit_action action) {
    struct edit_text *t = &e->text;
    switch (action) {
    case EDIT_ENTER:
        return press_enter(e);
    case EDIT_NEWLINE:
        edit_insert(t, "\n", 1);
        break;
    case EDIT_UP:
        line_up(e);
        break;
    case EDIT_DOWN:
        line_down(e);
        break;
    case EDIT_OLDER:
        recall_message(e, e->at ? e->at - 1 : 0);
        break;
    case EDIT_NEWER:
        recall_message(e, e->at < e->history->n ? e->at + 1 : e->at);
        break;
    case EDIT_OLDEST:
        recall_message(e, 0);
        break;
    case EDIT_NEWEST:
        recall_message(e, e->history->n);
        break;
    case EDIT_DELETE_OR_END:
        return end_or_delete(e);
    case EDIT_YANK:
        edit_insert(t, edit_bytes(&e->killed), e->killed.len);
        break;
    case EDIT_TRANSPOSE:
        edit_transpose(t);
        break;
    case EDIT_SEARCH:
        search_begin(e);
        break;
    case EDIT_COMPLETE:
        complete_word(e);
        break;
    case EDIT_CLEAR_SCREEN:
        buffer_text(&e->out, "\033[H\033[2J");
        screen_forget(&e->screen);
        break;
    case EDIT_INTERRUPT:
        return interrupt(e);
    case EDIT_SUSPEND:
        return EDITOR_SUSPEND;
    default:
        if (!move_cursor(t, action))
            remove_text(e, action);
        break;
    }
    return EDITOR_NONE;
}

/* What a key does. */
static enum editor_event obey_key(struct editor *e, const struct key *key) {
    const bool searching = e->search.on;
    if (!key->n && !key->action)
        return EDITOR_NONE;
    if (e->keys.pasting || key->action == EDIT_PASTE_END)
        take_paste(e, key);
    else if (searching && search_key(e, key))
        return EDITOR_NONE;
    else if (!searching)
        edit_insert(&e->text, key->text, key->n);
    const enum editor_event event = do_action(e, key->action);
    e->last = key->action;
    return event;
}

enum editor_event editor_feed(struct editor *e, unsigned char byte) {
    const struct key key = keys_feed(&e->keys, byte);
    return obey_key(e, &key);
}

void editor_timeout(struct editor *e) {
    const struct key key = keys_timeout(&e->keys);
    obey_key(e, &key);
}

void editor_begin(struct editor *e, const char *text) {
    const size_t len = strlen(text);
    if (!edit_set(&e->text, text, len) && e->text.bytes)
        edit_set(&e->text, "", 0);
    e->search.on = e->literal = false;
    e->last = EDIT_NONE;
    e->at = e->history->n;
}

void editor_free(struct editor *e) {
    edit_free(&e->text);
    edit_free(&e->killed);
    edit_free(&e->draft);
    edit_free(&e->pasted);
    edit_free(&e->search.query);
    buffer_free(&e->out);
}
