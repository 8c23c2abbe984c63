#include "tools/edit/editor_keys.h"

#include <string.h>

#define ESCAPE 0x1b

static const char paste_end[] = "\033[201~";

/* Control characters, Ctrl-@ to Ctrl-_. Ctrl-J is Enter, as terminals without line discipline and
 * scripts send it. */
static const enum edit_action controls[32] = {
    [1] = EDIT_LINE_START, [2] = EDIT_LEFT,        [3] = EDIT_INTERRUPT,   [4] = EDIT_DELETE_OR_END,
    [5] = EDIT_LINE_END,   [6] = EDIT_RIGHT,       [7] = EDIT_CANCEL,      [8] = EDIT_BACKSPACE,
    [9] = EDIT_COMPLETE,   [10] = EDIT_ENTER,      [11] = EDIT_KILL_END,   [12] = EDIT_CLEAR_SCREEN,
    [13] = EDIT_ENTER,     [14] = EDIT_DOWN,       [16] = EDIT_UP,         [18] = EDIT_SEARCH,
    [20] = EDIT_TRANSPOSE, [21] = EDIT_KILL_START, [23] = EDIT_KILL_SPACE, [25] = EDIT_YANK,
    [26] = EDIT_SUSPEND,
};

/* With Alt. */
static const enum edit_action alt_keys[128] = {
    ['b'] = EDIT_WORD_LEFT,       ['B'] = EDIT_WORD_LEFT,       ['f'] = EDIT_WORD_RIGHT,
    ['F'] = EDIT_WORD_RIGHT,      ['d'] = EDIT_KILL_WORD_RIGHT, ['D'] = EDIT_KILL_WORD_RIGHT,
    [0x08] = EDIT_KILL_WORD_LEFT, [0x7f] = EDIT_KILL_WORD_LEFT, ['\r'] = EDIT_NEWLINE,
    ['\n'] = EDIT_NEWLINE,        ['p'] = EDIT_OLDER,           ['n'] = EDIT_NEWER,
    ['<'] = EDIT_OLDEST,          ['>'] = EDIT_NEWEST,
};

/* Cursor keys and their like, by the last byte of their sequence. */
static const enum edit_action cursor_keys[128] = {
    ['A'] = EDIT_UP,         ['B'] = EDIT_DOWN,     ['C'] = EDIT_RIGHT, ['D'] = EDIT_LEFT,
    ['H'] = EDIT_LINE_START, ['F'] = EDIT_LINE_END, ['M'] = EDIT_ENTER,
};

/* By the number in front of a last byte of '~'. */
static const enum edit_action numbered_keys[] = {
    [1] = EDIT_LINE_START, [3] = EDIT_DELETE,   [4] = EDIT_LINE_END,
    [7] = EDIT_LINE_START, [8] = EDIT_LINE_END, [200] = EDIT_PASTE_BEGIN,
};

/* Puts bytes through the UTF-8 stream into the key's text. */
static void add_text(struct keys *k, struct key *key, const char *bytes, size_t n) {
    key->n += utf8_stream_put(&k->utf8, bytes, n, key->text + key->n);
}

/* A character that was cut short by what comes now is replaced. */
static void end_text(struct keys *k, struct key *key) {
    key->n += utf8_stream_end(&k->utf8, key->text + key->n);
}

static void pasted_char(struct keys *k, struct key *key, char byte) {
    if (byte == '\r' || (byte == '\n' && !k->after_return))
        add_text(k, key, "\n", 1);
    else if (byte && byte != '\n')
        add_text(k, key, &byte, 1);
    k->after_return = byte == '\r';
}

static void pasted_byte(struct keys *k, struct key *key, char byte) {
    if (byte == paste_end[k->n_end]) {
        if (!paste_end[++k->n_end]) {
            end_text(k, key);
            key->action = EDIT_PASTE_END;
            k->pasting = false;
            k->n_end = 0;
        }
        return;
    }
    /* Not the end after all: what was held back is text. Its first byte occurs in it only once. */
    for (size_t i = 0; i < k->n_end; i++)
        pasted_char(k, key, paste_end[i]);
    k->n_end = byte == paste_end[0];
    if (!k->n_end)
        pasted_char(k, key, byte);
}

static void ground_byte(struct keys *k, struct key *key, unsigned char byte) {
    if (byte >= 0x20 && byte != 0x7f) {
        const char c = (char)byte;
        add_text(k, key, &c, 1);
        return;
    }
    end_text(k, key);
    if (byte == ESCAPE)
        k->state = KEY_ESCAPE;
    else
        key->action = byte == 0x7f ? EDIT_BACKSPACE : controls[byte];
}

static void after_escape(struct keys *k, struct key *key, unsigned char byte) {
    k->state = KEY_GROUND;
    k->n_params = 0;
    if (byte == '[')
        k->state = KEY_CSI;
    else if (byte == 'O')
        k->state = KEY_SS3;
    else if (byte == ESCAPE)
        k->state = KEY_ESCAPE;
    else if (byte < 0x80)
        key->action = alt_keys[byte];
    else /* Alt with a letter of another script: the letter */
        ground_byte(k, key, byte);
}

static unsigned number(const char *s) {
    unsigned value = 0;
    while (*s >= '0' && *s <= '9' && value < 10000)
        value = 10 * value + (unsigned)(*s++ - '0');
    return value;
}

/* With Ctrl or Alt, what goes by characters goes by words. */
static enum edit_action by_words(enum edit_action action) {
    return action == EDIT_LEFT     ? EDIT_WORD_LEFT
           : action == EDIT_RIGHT  ? EDIT_WORD_RIGHT
           : action == EDIT_DELETE ? EDIT_KILL_WORD_RIGHT
                                   : action;
}

/* A byte of ESC [ parameters last. */
static void csi_byte(struct keys *k, struct key *key, unsigned char byte) {
    if (byte < 0x20 || byte >= 0x7f) { /* broken off */
        k->state = KEY_GROUND;
        ground_byte(k, key, byte);
        return;
    }
    if (byte < 0x40) {
        if (k->n_params < KEY_MAX_PARAMS)
            k->params[k->n_params++] = (char)byte;
        return;
    }
    if (byte == '[' && !k->n_params) { /* the Linux console's function keys: one more */
        k->state = KEY_CSI_SKIP;
        return;
    }
    k->params[k->n_params] = 0;
    k->state = KEY_GROUND;
    const char *semicolon = strchr(k->params, ';');
    /* 1 + the sum of Shift 1, Alt 2, Ctrl 4 */
    const unsigned modifier = semicolon ? number(semicolon + 1) : 1;
    const bool by_word = modifier > 1 && ((modifier - 1) & 6);
    const unsigned n = number(k->params);
    if (byte == '~' && n < sizeof numbered_keys / sizeof *numbered_keys)
        key->action = numbered_keys[n];
    else if (byte != '~' && byte != 'M')
        key->action = cursor_keys[byte];
    if (by_word)
        key->action = by_words(key->action);
    if (key->action == EDIT_PASTE_BEGIN) {
        k->pasting = true;
        k->n_end = 0;
        k->after_return = false;
    }
}

struct key keys_feed(struct keys *k, unsigned char byte) {
    struct key key = {.n = 0};
    if (k->pasting) {
        pasted_byte(k, &key, (char)byte);
        return key;
    }
    switch (k->state) {
    case KEY_GROUND:
        ground_byte(k, &key, byte);
        break;
    case KEY_ESCAPE:
        after_escape(k, &key, byte);
        break;
    case KEY_CSI:
        csi_byte(k, &key, byte);
        break;
    case KEY_CSI_SKIP:
        k->state = KEY_GROUND;
        break;
    case KEY_SS3:
        k->state = KEY_GROUND;
        key.action = byte < 0x80 ? cursor_keys[byte] : EDIT_NONE;
        break;
    }
    return key;
}

bool keys_waiting(const struct keys *k) {
    return !k->pasting && k->state == KEY_ESCAPE;
}

struct key keys_timeout(struct keys *k) {
    k->state = KEY_GROUND;
    return (struct key){.action = EDIT_CANCEL};
}
