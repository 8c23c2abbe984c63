/* What the keys of a terminal mean: bytes in, actions out. Sequences are those of xterm and the
 * VT220, which all terminals of today send; what is unknown among them is swallowed whole. */
#ifndef BISE_TOOLS_EDIT_EDITOR_KEYS_H
#define BISE_TOOLS_EDIT_EDITOR_KEYS_H

#include "src/base/utf8.h"

#include <stdbool.h>

enum edit_action {
    EDIT_NONE,
    EDIT_ENTER,
    EDIT_NEWLINE, /* a line break within the text: Alt-Enter */
    EDIT_LEFT,
    EDIT_RIGHT,
    EDIT_WORD_LEFT,
    EDIT_WORD_RIGHT,
    EDIT_LINE_START,
    EDIT_LINE_END,
    EDIT_UP,
    EDIT_DOWN,
    EDIT_OLDER, /* in the history, whatever the cursor's line */
    EDIT_NEWER,
    EDIT_OLDEST,
    EDIT_NEWEST,
    EDIT_BACKSPACE,
    EDIT_DELETE,
    EDIT_DELETE_OR_END, /* Ctrl-D: the end of input where there is no text */
    EDIT_KILL_END,
    EDIT_KILL_START,
    EDIT_KILL_SPACE, /* back to a space: Ctrl-W */
    EDIT_KILL_WORD_LEFT,
    EDIT_KILL_WORD_RIGHT,
    EDIT_YANK,
    EDIT_TRANSPOSE,
    EDIT_SEARCH,
    EDIT_CANCEL, /* Ctrl-G, Escape alone */
    EDIT_COMPLETE,
    EDIT_CLEAR_SCREEN,
    EDIT_INTERRUPT, /* Ctrl-C */
    EDIT_SUSPEND,   /* Ctrl-Z */
    EDIT_PASTE_BEGIN,
    EDIT_PASTE_END,
    EDIT_ACTION_COUNT
};

/* Text to put in, if any, and then something to do. */
struct key {
    char text[UTF8_STREAM_ROOM(8)]; /* [n] well-formed UTF-8 without NULs */
    size_t n;
    enum edit_action action;
};

enum key_state { KEY_GROUND, KEY_ESCAPE, KEY_CSI, KEY_CSI_SKIP, KEY_SS3 };

#define KEY_MAX_PARAMS 12

/* Starts zeroed. */
struct keys {
    enum key_state state;
    char params[KEY_MAX_PARAMS + 1]; /* of a CSI sequence */
    size_t n_params;
    bool pasting;
    size_t n_end;      /* how much of the sequence that ends a paste has come */
    bool after_return; /* in a paste: CR LF is one line break */
    struct utf8_stream utf8;
};

/* What a byte does. */
struct key keys_feed(struct keys *k, unsigned char byte);
/* Whether an Escape has come that may be the key alone or a sequence's beginning; and what it is
 * when nothing follows. */
bool keys_waiting(const struct keys *k);
struct key keys_timeout(struct keys *k);

#endif
