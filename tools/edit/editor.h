/* The line editor: keys in, a message out, what is to be seen as bytes for a terminal. It neither
 * reads nor writes itself (editor_read.h does), so that tests can drive it. */
#ifndef BISE_TOOLS_EDIT_EDITOR_H
#define BISE_TOOLS_EDIT_EDITOR_H

#include "tools/edit/completion.h"
#include "tools/edit/editor_keys.h"
#include "tools/edit/editor_screen.h"
#include "tools/edit/editor_text.h"
#include "tools/edit/history.h"

enum editor_event {
    EDITOR_NONE,
    EDITOR_MESSAGE,   /* editor_message has it */
    EDITOR_END,       /* Ctrl-D, the terminal is gone, or SIGTERM has come */
    EDITOR_INTERRUPT, /* Ctrl-C where there is no text */
    EDITOR_SUSPEND    /* Ctrl-Z */
};

struct editor_search {
    bool on, failed;
    struct edit_text query;
    size_t match; /* index in the history; its length: none */
};

/* Starts zeroed but for the first five. */
struct editor {
    const char *prompt, *prompt_on, *prompt_off; /* as in struct screen_text */
    struct history *history;
    void (*complete)(struct completion *c, const char *line, size_t *start); /* may be NULL */

    struct keys keys;
    struct edit_text text;
    struct edit_text killed; /* for Ctrl-Y */
    struct edit_text draft;  /* the text while an older one is shown */
    struct edit_text pasted; /* so far */
    struct editor_search search;
    size_t at;             /* index in the history of the text shown; its length: the draft */
    enum edit_action last; /* the action before */
    bool literal;          /* three quotes at the beginning are text */
    struct screen screen;
    struct buffer out; /* what is still to be written to the terminal; the caller does and clears */
};

/* A new message, beginning with text (NUL-terminated). The size of the screen stays. */
void editor_begin(struct editor *e, const char *text);
/* What a byte does. After EDITOR_MESSAGE, editor_begin is due. */
enum editor_event editor_feed(struct editor *e, unsigned char byte);
/* Nothing has followed for a while: an Escape was the key of that name (keys_waiting). */
void editor_timeout(struct editor *e);
/* Brings the terminal up to date. */
void editor_draw(struct editor *e);
/* Leaves the whole text on the terminal, and the cursor below. Before editor_message. */
void editor_leave(struct editor *e);
/* The message without the quotes around it, NUL-terminated; owned by the editor, until
 * editor_begin. */
const char *editor_message(struct editor *e, size_t *len);
void editor_resize(struct editor *e, size_t cols, size_t rows);
void editor_free(struct editor *e);

#endif
