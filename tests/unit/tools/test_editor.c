/* The line editor, key by key: what becomes of the text, and what a terminal shows. */
#include "tests/pty/vt.h"
#include "tools/common/width.h"
#include "tools/edit/editor.h"

#include <criterion/criterion.h>
#include <locale.h>

struct desk {
    struct editor e;
    struct history history;
    struct vt vt;
    enum editor_event event; /* the last that was not NONE */
};

static const char *const names[] = {"notes.txt", "nüsse", "nübe", NULL};
static const char *const commands[] = {"/read", "/regen", "/stats", NULL};

static void offer(struct completion *c, const char *line, size_t *start) {
    const char *space = strchr(line, ' ');
    *start = space ? (size_t)(space - line) + 1 : 0;
    for (const char *const *name = space ? names : commands; *name; name++)
        completion_offer(c, line + *start, *name);
}

static void update(struct desk *d) {
    vt_write(&d->vt, d->e.out.bytes, d->e.out.len);
    buffer_clear(&d->e.out);
}

static void open_sized(struct desk *d, size_t cols, size_t rows) {
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    *d = (struct desk){.event = EDITOR_NONE};
    d->e = (struct editor){.prompt = "> ",
                           .prompt_on = "",
                           .prompt_off = "",
                           .history = &d->history,
                           .complete = offer};
    vt_open(&d->vt, cols, rows);
    editor_begin(&d->e, "");
    editor_resize(&d->e, cols, rows);
}

static void close_desk(struct desk *d) {
    cr_expect(!d->vt.unknown, "the terminal was sent what it does not know");
    vt_close(&d->vt);
    editor_free(&d->e);
    history_close(&d->history);
}

/* Types bytes and looks at the screen. */
static void type(struct desk *d, const char *bytes) {
    for (; *bytes; bytes++) {
        const enum editor_event event = editor_feed(&d->e, (unsigned char)*bytes);
        if (event)
            d->event = event;
    }
    editor_draw(&d->e);
    update(d);
}

/* '|' stands for the cursor. */
static void expect_text(struct desk *d, const char *text) {
    const size_t cursor = strcspn(text, "|");
    struct edit_text want = {.len = 0};
    edit_set(&want, text, cursor);
    edit_insert(&want, text + cursor + 1, strlen(text) - cursor - 1);
    cr_expect_str_eq(edit_bytes(&d->e.text), edit_bytes(&want));
    cr_expect_eq(d->e.text.cursor, cursor, "cursor at %zu of \"%s\", expected \"%s\"",
                 d->e.text.cursor, edit_bytes(&d->e.text), text);
    edit_free(&want);
}

static void expect_screen(struct desk *d, const char *text, size_t row, size_t col) {
    char *found = vt_text(&d->vt);
    cr_expect_str_eq(found, text);
    cr_expect_eq(d->vt.row - vt_top(&d->vt), row, "row %zu", d->vt.row - vt_top(&d->vt));
    cr_expect_eq(d->vt.col, col, "column %zu", d->vt.col);
    free(found);
}

/* From an empty text: keys give text. */
static void check(const char *keys, const char *text) {
    struct desk d;
    open_sized(&d, 80, 24);
    type(&d, keys);
    expect_text(&d, text);
    close_desk(&d);
}

#define LEFT  "\033[D"
#define RIGHT "\033[C"
#define UP    "\033[A"
#define DOWN  "\033[B"
#define ALT   "\033"

Test(editor, moving) {
    check("abc", "abc|");
    check("abc" LEFT "x", "abx|c");
    check("abc\x01x\x05y", "xabcy|");
    check("abc\033[Hx\033[Fy", "xabcy|");
    check("abc\033[1~x\033[4~y", "xabcy|");
    check("abc\033OHx\033OFy\033ODz", "xabcz|y");
    check("abc\002\002x\006y", "axby|c");
    check("one two-three" ALT "b", "one two-|three");
    check("one two-three" ALT "b" ALT "b" ALT "b", "|one two-three");
    check("one two" ALT "b" ALT "b" ALT "f", "one| two");
    check("one two\033[1;5D", "one |two");
    check("one two\033[1;3D\033[1;5D\033[1;5C", "one| two");
    check("grün süß" ALT "b", "grün |süß");
    check(LEFT RIGHT UP DOWN ALT "b" ALT "f", "|");
}

Test(editor, deleting) {
    check("abc\x7f", "ab|");
    check("abc\x08", "ab|");
    check("abc" LEFT "\033[3~", "ab|");
    check("abc" LEFT "\x04", "ab|");
    check("one two\x17", "one |");
    check("one two-three  \x17", "one |");
    check("one two-three" ALT "\x7f", "one two-|");
    check("one two" ALT "b" ALT "b" ALT "d", "| two");
    check("one two" LEFT LEFT "\x0b", "one t|");
    check("one two" LEFT LEFT "\x15", "|wo");
    check("one two\x17\x17\x19", "one two|");
    check("abc\x15\x19\x19", "abcabc|");
    check("ab\x14", "ba|");
    check("abcd" LEFT LEFT "\x14", "acb|d");
    check("a\x14", "a|");
    check("\x7f\x04\x17\x0b\x15\x14", "|");
}

Test(editor, characters_are_whole) {
    check("日本語\x7f", "日本|");
    check("日本語" LEFT "x", "日本x|語");
    check("e\xcc\x81x" LEFT LEFT "y", "y|e\xcc\x81x"); /* e and its accent */
    check("ae\xcc\x81\x7f", "a|");
    check("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac!" LEFT LEFT,
          "|\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac!");
    check("日本\x14", "本日|");
    check("a\xff"
          "b\xc3(",
          "a\xef\xbf\xbd"
          "b\xef\xbf\xbd(|");
    check("\xc3\x01x", "x|\xef\xbf\xbd");
}

Test(editor, unknown_sequences_are_swallowed) {
    check("a\033[24~b\033[1;2Qc\033[[Ad\033OPe\033[12;40Rf", "abcdef|");
    check("a\033xb\033[999;999;999;999;999;999~c", "abc|");
    check("a\033\xc3\xa4"
          "b",
          "a\xc3\xa4"
          "b|");
    check("a\033[1\x01x", "x|a"); /* broken off by a control character */
}

Test(editor, escape_alone) {
    struct desk d;
    open_sized(&d, 80, 24);
    type(&d, "abc\033");
    cr_expect(keys_waiting(&d.e.keys));
    editor_timeout(&d.e);
    cr_expect(!keys_waiting(&d.e.keys));
    type(&d, "b");
    expect_text(&d, "abcb|");
    close_desk(&d);
}

static void expect_message(struct desk *d, const char *keys, const char *message) {
    size_t len;
    d->event = EDITOR_NONE;
    editor_begin(&d->e, "");
    type(d, keys);
    cr_expect_eq(d->event, EDITOR_MESSAGE, "%s", keys);
    const char *found = editor_message(&d->e, &len);
    cr_expect_str_eq(found, message);
    cr_expect_eq(len, strlen(message));
}

Test(editor, messages) {
    struct desk d;
    open_sized(&d, 80, 24);
    expect_message(&d, "hello\r", "hello");
    expect_message(&d, "\n", "");
    expect_message(&d, "one\\\rtwo\r", "one\ntwo");
    expect_message(&d, "one\\\\\r", "one\\\\");
    expect_message(&d, "one" ALT "\rtwo\r", "one\ntwo");
    expect_message(&d, "\"\"\"\rone\r\rtwo\\\r\"\"\"\r", "one\n\ntwo\\");
    expect_message(&d, "\"\"\"one\rtwo\"\"\"\r", "one\ntwo");
    expect_message(&d, "\"\"\"one\"\"\"\r", "one");
    expect_message(&d, "\"\"\"\r\"\"\"\r", "");
    expect_message(&d, "say \"\"\"\r", "say \"\"\"");
    close_desk(&d);
}

Test(editor, pastes) {
    struct desk d;
    open_sized(&d, 80, 24);
    expect_message(&d, "\033[200~one\rtwo\r\nthree\nfour\033[201~\r", "one\ntwo\nthree\nfour");
    expect_message(&d, "\033[200~a\tb\033[201~ c\r", "a\tb c");
    expect_message(&d, "ad" LEFT "\033[200~b\rc\033[201~\r", "ab\ncd");
    expect_message(&d, "\033[200~\"\"\"doc\rmore\033[201~\r", "\"\"\"doc\nmore");
    expect_message(&d, "\033[200~#define x \\\033[201~\r", "#define x \\");
    /* What looks like the end and is not stays as it is. */
    expect_message(&d, "\033[200~a\033[20\033[201b\033[A\033[201~\r", "a\033[20\033[201b\033[A");
    d.event = EDITOR_NONE;
    editor_begin(&d.e, "");
    type(&d, "\033[200~one\x03\x04\r");
    cr_expect_eq(d.event, EDITOR_NONE, "keys in a paste do nothing");
    type(&d, "\033[201~");
    expect_text(&d, "one\x03\x04\n|");
    close_desk(&d);
}

Test(editor, endings) {
    struct desk d;
    open_sized(&d, 80, 24);
    type(&d, "\x04");
    cr_expect_eq(d.event, EDITOR_END);
    type(&d, "\x03");
    cr_expect_eq(d.event, EDITOR_INTERRUPT);
    type(&d, "\x1a");
    cr_expect_eq(d.event, EDITOR_SUSPEND);
    d.event = EDITOR_NONE;
    type(&d, "some text\x03");
    cr_expect_eq(d.event, EDITOR_NONE, "text is given up first");
    expect_text(&d, "|");
    type(&d, "\x19");
    expect_text(&d, "some text|");
    close_desk(&d);
}

Test(editor, history_and_search) {
    struct desk d;
    open_sized(&d, 80, 24);
    history_add(&d.history, "the first", NULL);
    history_add(&d.history, "the second\nhas two lines", NULL);
    history_add(&d.history, "a third", NULL);
    editor_begin(&d.e, "");
    type(&d, "draft" UP);
    expect_text(&d, "a third|");
    type(&d, UP);
    expect_text(&d, "the second\nhas two lines|");
    type(&d, UP); /* within the message first */
    expect_text(&d, "the second|\nhas two lines");
    type(&d, UP UP UP);
    expect_text(&d, "the first|");
    type(&d, DOWN DOWN);
    expect_text(&d, "a third|");
    type(&d, DOWN DOWN);
    expect_text(&d, "draft|");
    type(&d, ALT "<");
    expect_text(&d, "the first|");
    type(&d, ALT ">");
    expect_text(&d, "draft|");
    type(&d, "\x12the");
    expect_screen(&d, "(search: \"the\") the second\n. has two lines", 0, 16);
    type(&d, "\x12");
    expect_screen(&d, "(search: \"the\") the first", 0, 16);
    type(&d, "\x12");
    expect_screen(&d, "(not found: \"the\") the first", 0, 19);
    type(&d, "\x7f\x7f");
    expect_screen(&d, "(search: \"t\") a third", 0, 16);
    type(&d, "\x07");
    expect_text(&d, "draft|");
    type(&d, "\x12"
             "first\x01");
    expect_text(&d, "|the first");
    type(&d, "\x12second\r");
    cr_expect_eq(d.event, EDITOR_MESSAGE);
    expect_text(&d, "the second\nhas two lines|");
    editor_begin(&d.e, "");
    d.event = EDITOR_NONE;
    type(&d, "\x12nowhere\r");
    cr_expect_eq(d.event, EDITOR_NONE, "nothing found is nothing sent");
    type(&d, "\x03");
    expect_text(&d, "|");
    close_desk(&d);
}

Test(editor, completion) {
    struct desk d;
    open_sized(&d, 40, 24);
    type(&d, "/s\t");
    expect_text(&d, "/stats |");
    editor_begin(&d.e, "");
    type(&d, "/r\t");
    expect_text(&d, "/re|");
    expect_screen(&d, "> /re", 0, 5);
    type(&d, "\t");
    expect_screen(&d, "> /re\n/read   /regen\n> /re", 2, 5);
    type(&d, "a\tn\t");
    expect_text(&d, "/read n|"); /* not half of an umlaut */
    type(&d, "\xc3\xbc\t");
    expect_text(&d, "/read nü|");
    type(&d, "s\t");
    expect_text(&d, "/read nüsse |");
    close_desk(&d);
}

Test(editor, rows_of_the_terminal) {
    struct desk d;
    open_sized(&d, 10, 5);
    type(&d, "1234567");
    expect_screen(&d, "> 1234567", 0, 9);
    type(&d, "8");
    expect_screen(&d, "> 12345678", 1, 0);
    type(&d, "9");
    expect_screen(&d, "> 123456789", 1, 1);
    type(&d, LEFT);
    expect_screen(&d, "> 123456789", 1, 0);
    type(&d, LEFT);
    expect_screen(&d, "> 123456789", 0, 9);
    type(&d, "\x15");
    type(&d, "\x0b"
             "1234567日");
    expect_screen(&d, "> 1234567日", 1, 2); /* a wide one does not fit into the last column */
    type(&d, LEFT);
    expect_screen(&d, "> 1234567日", 1, 0);
    type(&d, "\x0b\x15"
             "12345678" ALT "\rx" UP "\x05");
    expect_screen(&d, "> 12345678\n. x", 0, 9);
    type(&d, "\x15\x0b\x0b\x0b"
             "\033[200~a\tb\033[201~");
    expect_screen(&d, "> a b", 0, 5);
    close_desk(&d);
}

Test(editor, control_characters_are_shown_harmlessly) {
    struct desk d;
    open_sized(&d, 40, 5);
    type(&d, "\033[200~a\tb\033]0;x\a\x7f\xc2\x9b"
             "c\xe2\x80\xa8\033[201~");
    expect_screen(&d,
                  "> a b^[]0;x^G^?\xef\xbf\xbd"
                  "c\xef\xbf\xbd",
                  0, 18);
    close_desk(&d);
}

Test(editor, taller_than_the_terminal) {
    struct desk d;
    open_sized(&d, 10, 4);
    type(&d, "\033[200~1\r2\r3\r4\r5\r6\033[201~");
    char *text = vt_text(&d.vt);
    cr_expect_str_eq(text, ". 3\n. 4\n. 5\n. 6");
    free(text);
    type(&d, UP UP UP UP);
    text = vt_text(&d.vt);
    cr_expect_str_eq(text, ". 2\n. 3\n. 4\n. 5");
    free(text);
    type(&d, UP);
    expect_screen(&d, "> 1\n. 2\n. 3\n. 4", 0, 3);
    editor_leave(&d.e);
    update(&d);
    text = vt_text(&d.vt);
    cr_expect_str_eq(text, "> 1\n. 2\n. 3\n. 4\n. 5\n. 6");
    free(text);
    close_desk(&d);
}

Test(editor, resizing) {
    static const char whole[] = "an answer\n> a question that is not short 日本語";
    struct desk d;
    open_sized(&d, 40, 8);
    vt_write(&d.vt, "an answer\r\n", 11);
    type(&d, "a question that is not short 日本語");
    for (size_t cols = 40; cols >= 8; cols--) {
        vt_resize(&d.vt, cols, 8);
        editor_resize(&d.e, cols, 8);
        type(&d, cols % 2 ? LEFT : RIGHT);
        char *text = vt_text(&d.vt);
        cr_expect_str_eq(text, whole, "%zu: %s", cols, text);
        free(text);
    }
    vt_resize(&d.vt, 60, 8);
    editor_resize(&d.e, 60, 8);
    type(&d, "\x05");
    expect_screen(&d, whole, 1, 37);
    close_desk(&d);
}

Test(editor, clear_screen) {
    struct desk d;
    open_sized(&d, 40, 8);
    vt_write(&d.vt, "an answer\r\n", 11);
    type(&d, "abc\x0c");
    expect_screen(&d, "> abc", 0, 5);
    close_desk(&d);
}

Test(editor, widths_agree_with_the_c_library) {
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    /* Where Unicode's versions, or opinions on rare signs, differ, is not the point here. */
    static const unsigned ranges[][2] = {
        {0x20, 0x7e},       {0xa0, 0xac},     {0xae, 0x36f},      {0x400, 0x482},
        {0x5d0, 0x5ea},     {0x904, 0x939},   {0xe01, 0xe3a},     {0x1100, 0x115f},
        {0x1160, 0x11ff},   {0x200b, 0x200f}, {0x2010, 0x2027},   {0x3041, 0x3096},
        {0x30a1, 0x30ff},   {0x3400, 0x4dbf}, {0x4e00, 0x9fff},   {0xac00, 0xd7a3},
        {0xfe00, 0xfe0f},   {0xff01, 0xff60}, {0x1f300, 0x1f320}, {0x1f600, 0x1f64f},
        {0x20000, 0x2a6dd},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (unsigned code = ranges[i][0]; code <= ranges[i][1]; code++)
            if (wcwidth((wchar_t)code) >= 0)
                cr_expect_eq(code_width(code), wcwidth((wchar_t)code), "U+%04X: %d, %d", code,
                             code_width(code), wcwidth((wchar_t)code));
}
