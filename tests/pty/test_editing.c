/* bise chat at a terminal: typing, editing, history, pastes, other sizes, wide characters. */
#include "tests/pty/pty.h"

#include <unistd.h>

/* Answers of a few tokens, always the same. */
static const char *const brief[] = {"chat", "-q", "--temp", "0", "-n", "4", NULL};

static void open_brief(struct pty *p, const struct pty_start *how) {
    struct pty_start start = *how;
    start.args = brief;
    pty_open(p, &start);
    pty_check(p, pty_wait_end(p, ">"), "the prompt comes");
}

static bool history_is(const char *text) {
    char path[96], found[65536];
    snprintf(path, sizeof path, "%s/bise/history", pty_folder());
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    const size_t n = fread(found, 1, sizeof found - 1, f);
    fclose(f);
    found[n] = 0;
    return strcmp(found, text) == 0;
}

static void forget_history(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/bise/history", pty_folder());
    unlink(path);
}

static void typing_and_editing(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.cols = 80});
    pty_type(&p, "helo there\033b\033[D\033[Dl");
    pty_check(&p, pty_wait_end(&p, "> hello there") && p.vt.col == 6, "a letter put in");
    pty_type(&p, "\033[H\033[3~\033[3~\033[3~\033[3~\033[3~\033[3~\033[F!\x17\x17Hi!");
    pty_check(&p, pty_wait_end(&p, "> Hi!"), "words taken away");
    pty_type(&p, "\r");
    pty_check(&p, pty_wait_prompt(&p), "an answer, and the next prompt");
    pty_type(&p, "\033[A");
    pty_check(&p, pty_wait_end(&p, "> Hi!"), "the arrow shows it again");
    pty_type(&p, "\x15/sta\t");
    pty_check(&p, pty_wait_end(&p, "> /stats") && p.vt.col == 9, "Tab completes a command");
    pty_type(&p, "\x15\x12"
                 "H");
    pty_check(&p, pty_wait_end(&p, "(search: \"H\") Hi!"), "Ctrl-R finds it");
    pty_type(&p, "\r");
    pty_check(&p, pty_wait_prompt(&p), "and Enter sends it");
    pty_type(&p, "/frob\r");
    pty_check(&p, pty_wait(&p, "no command /frob") && pty_wait_prompt(&p), "an unknown command");
    pty_type(&p, "\x04");
    pty_check(&p, pty_wait_exit(&p) == 0, "Ctrl-D leaves with 0");
    pty_check(&p, pty_restored(&p) && !p.vt.unknown, "and the terminal is as before");
    pty_check(&p, history_is("Hi!\n/frob\n"), "the history holds what was sent");
    pty_close(&p);
    open_brief(&p, &(struct pty_start){.cols = 80});
    pty_type(&p, "\033[A\033[A");
    pty_check(&p, pty_wait_end(&p, "> Hi!"), "the next chat knows it");
    pty_close(&p);
    forget_history();
}

static void several_lines(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.cols = 80});
    pty_type(&p, "\"\"\"\rone\rtwo\r\"\"\"\r");
    pty_check(&p, pty_wait_prompt(&p) && history_is("one\\ntwo\n"), "three quotes");
    pty_type(&p, "three\\\rfour\r");
    pty_check(&p, pty_wait_prompt(&p) && history_is("one\\ntwo\nthree\\nfour\n"), "a backslash");
    pty_type(&p, "/multi\rfive\rsix\r\"\"\"\r");
    pty_check(&p,
              pty_wait_prompt(&p) && history_is("one\\ntwo\nthree\\nfour\n/multi\nfive\\nsix\n"),
              "/multi");
    pty_close(&p);
    forget_history();
}

static void paste_of_200_lines(void) {
    struct pty p;
    struct buffer keys = {.len = 0}, want = {.len = 0};
    open_brief(&p, &(struct pty_start){.cols = 80});
    pty_check(&p, p.vt.bracketed, "pastes are bracketed");
    buffer_text(&keys, "\033[200~");
    for (int i = 1; i <= 200; i++) {
        buffer_print(&keys, "%sline %d", i > 1 ? "\r" : "", i);
        buffer_print(&want, "%sline %d", i > 1 ? "\\n" : "", i);
    }
    buffer_text(&keys, "\033[201~");
    buffer_text(&want, "\n");
    pty_type(&p, keys.bytes);
    pty_check(&p, pty_wait_end(&p, "\n. line 199\n. line 200"), "200 lines stand there");
    pty_type(&p, "\r");
    pty_check(&p, pty_wait_prompt(&p), "one answer");
    pty_check(&p, history_is(want.bytes), "they were one message");
    char *text = vt_text(&p.vt);
    pty_check(&p, strstr(text, "> line 1\n. line 2\n") && strstr(text, "\n. line 150\n"),
              "and stand on the terminal whole");
    free(text);
    pty_type(&p, "/undo\r");
    pty_check(&p, pty_wait(&p, "taken back") && pty_wait_prompt(&p), "/undo takes it back");
    pty_type(&p, "/undo\r");
    pty_check(&p, pty_wait(&p, "nothing to take back") && pty_wait_prompt(&p), "at once");
    buffer_free(&keys);
    buffer_free(&want);
    pty_close(&p);
    forget_history();
}

static void resize(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.cols = 60, .rows = 10});
    pty_type(&p, "a question that goes on for more than one row of a narrow terminal 日本語");
    pty_check(&p, pty_wait_end(&p, "日本語"), "a long line");
    for (size_t cols = 20; cols <= 100; cols += 40) {
        pty_size(&p, cols, 10);
        pty_type(&p, "\x01\x05x");
        pty_check(&p,
                  pty_wait_end(&p, "x") && pty_wait_end(&p, cols == 20   ? "terminal 日本語x"
                                                            : cols == 60 ? "terminal 日本語xx"
                                                                         : "terminal 日本語xxx"),
                  "at another size");
    }
    char *text = vt_text(&p.vt);
    pty_check(&p,
              strcmp(text, "> a question that goes on for more than one row of a narrow "
                           "terminal 日本語xxx") == 0,
              "nothing of the other sizes is left");
    free(text);
    pty_close(&p);
}

static void wide_characters(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.cols = 20});
    pty_type(&p, "日本語の長い文です。");
    pty_check(&p, pty_wait_end(&p, "文です。") && p.vt.col == 2, "wide characters in two rows");
    pty_type(&p, "\x01");
    pty_type(&p, "e\xcc\x81");
    pty_check(&p, pty_wait_end(&p, "> e\xcc\x81日本語の長い文です。") && p.vt.col == 3,
              "a combining mark takes no column");
    pty_type(&p, "\033[C\033[C\x7f");
    pty_check(&p, pty_wait_end(&p, "> e\xcc\x81日語の長い文です。") && p.vt.col == 5,
              "a wide one taken away");
    pty_type(&p, "\r");
    pty_check(&p, pty_wait_prompt(&p), "sent");
    pty_check(&p, history_is("e\xcc\x81日語の長い文です。\n"), "whole");
    pty_check(&p, !p.vt.unknown, "no broken character was written");
    pty_close(&p);
    forget_history();
}

static void two_chats(void) {
    struct pty a, b;
    open_brief(&a, &(struct pty_start){.cols = 80});
    open_brief(&b, &(struct pty_start){.cols = 80});
    pty_type(&a, "from a\r");
    pty_check(&a, pty_wait_prompt(&a), "one chat answers");
    pty_type(&b, "from b\r");
    pty_check(&b, pty_wait_prompt(&b), "and the other");
    pty_type(&a, "\r");
    pty_check(&a, pty_wait_prompt(&a), "an empty message is none");
    pty_type(&a, "\033[A");
    pty_check(&a, pty_wait_end(&a, "> from b"), "each sees what the other was told");
    pty_check(&b, history_is("from a\nfrom b\n"), "in the order of time");
    pty_close(&a);
    pty_close(&b);
    forget_history();
}

static void colors(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.pipe = true});
    pty_type(&p, "Hello\r");
    pty_check(&p, pty_wait_prompt(&p), "an answer into a pipe");
    pty_type(&p, "\x04");
    while (pty_read_out(&p, 4096, NULL))
        ;
    pty_check(&p, pty_wait_exit(&p) == 0 && p.answer.len, "the answer came");
    pty_check(&p, !memchr(p.answer.bytes, '\033', p.answer.len), "without colours");
    pty_check(&p, memmem(p.bytes.bytes, p.bytes.len, "\033[1;36m", 7), "the prompt is coloured");
    pty_close(&p);
    open_brief(&p, &(struct pty_start){.env = "NO_COLOR=1"});
    pty_check(&p, !memmem(p.bytes.bytes, p.bytes.len, "\033[1", 3), "NO_COLOR");
    pty_close(&p);
    forget_history();
}

static void dumb_terminal(void) {
    struct pty p;
    open_brief(&p, &(struct pty_start){.term = "dumb"});
    pty_check(&p, !memchr(p.bytes.bytes, '\033', p.bytes.len), "no sequences for TERM=dumb");
    pty_type(&p, "\"\"\"\none\ntwo\"\"\"\n/tokens\n");
    pty_check(&p, pty_wait(&p, "1 "), "quotes there, too");
    pty_check(&p, pty_wait_prompt(&p), "and the next prompt");
    pty_type(&p, "\x04");
    pty_check(&p, pty_wait_exit(&p) == 0, "Ctrl-D leaves");
    pty_check(&p, pty_history_lines() == 0, "no history without an editor");
    pty_close(&p);
}

int main(void) {
    if (!pty_begin("editing"))
        return 0;
    typing_and_editing();
    several_lines();
    paste_of_200_lines();
    resize();
    wide_characters();
    two_chats();
    colors();
    dumb_terminal();
    return pty_end();
}
