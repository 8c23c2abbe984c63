/* bise chat at a terminal: Ctrl-C in every phase, the end of input, signals, keys typed ahead, slow
 * and closed readers. */
#include "tests/pty/pty.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Answers without an end, until they are stopped. */
static const char *const endless[] = {"chat",          "-q",    "--temp", "0",
                                      "--chat-format", "none",  "-n",     "-1",
                                      "--logit-bias",  "2-inf", NULL};
static const char *const brief[] = {"chat", "-q", "--temp", "0", "-n", "4", NULL};
/* Reading a long message takes long: all of it is within the context, by scalar code. */
static const char *const slow[] = {"chat",  "-q",     "--temp",   "0", "-n", "4",     "-t", "1",
                                   "--isa", "scalar", "--window", "0", "-c", "60000", NULL};

static void open_with(struct pty *p, const char *const *args, const struct pty_start *how) {
    struct pty_start start = *how;
    start.args = args;
    pty_open(p, &start);
    pty_check(p, pty_wait_end(p, ">"), "the prompt comes");
}

static void leave(struct pty *p, const char *keys, int code, const char *name) {
    pty_type(p, keys);
    pty_check(p, pty_wait_exit(p) == code, name);
    pty_check(p, pty_restored(p) && !p->vt.unknown, "and the terminal is as before");
    pty_close(p);
}

static void ctrl_c_while_answering(void) {
    struct pty p;
    open_with(&p, endless, &(struct pty_start){.cols = 80});
    pty_type(&p, "Once upon a time\r");
    pty_check(&p, pty_wait(&p, "time") && pty_wait(&p, " the"), "an endless answer");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "(stopped)") && pty_wait_prompt(&p), "Ctrl-C stops it");
    pty_type(&p, "/tokens\r");
    pty_check(&p, pty_wait(&p, "tokens") && pty_wait_prompt(&p), "what was said is kept");
    pty_type(&p, "half a message\x03");
    pty_check(&p, pty_wait_prompt(&p), "Ctrl-C gives up a line");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "(again, or /quit, to leave)") && pty_wait_prompt(&p),
              "at an empty prompt it says what the next does");
    pty_type(&p, "/tokens\r");
    pty_check(&p, pty_wait(&p, "tokens") && pty_wait_prompt(&p), "unless something is said");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "to leave)") && pty_wait_prompt(&p), "it is said again");
    leave(&p, "\x03", 130, "and the next leaves");
}

static void ctrl_c_while_reading(void) {
    struct pty p;
    struct buffer keys = {.len = 0};
    open_with(&p, slow, &(struct pty_start){.cols = 80});
    buffer_text(&keys, "\033[200~");
    for (int i = 0; i < 1500; i++)
        buffer_print(&keys, "Tell me about number %d, which is more than the last.\r", i);
    buffer_text(&keys, "\033[201~\r");
    pty_type(&p, keys.bytes);
    pty_check(&p, pty_wait(&p, "reading "), "a long message is read, which is shown");
    pty_check(&p, pty_wait(&p, "tokens/s"), "with its speed");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "(stopped while reading") && pty_wait_prompt(&p),
              "Ctrl-C stops the reading");
    pty_type(&p, "/context\r");
    pty_check(&p, pty_wait(&p, "conversation has") && pty_wait_prompt(&p), "the chat goes on");
    buffer_free(&keys);
    leave(&p, "\x04", 0, "until the end of input");
}

static void signals(void) {
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT};
    struct pty p;
    for (size_t i = 0; i < 3; i++) {
        open_with(&p, brief, &(struct pty_start){.cols = 80});
        pty_type(&p, "half a mess");
        pty_check(&p, pty_wait_end(&p, "half a mess"), "half a message");
        kill(p.pid, numbers[i]);
        if (numbers[i] == SIGINT) {
            pty_check(&p, pty_wait(&p, "to leave)") && pty_wait_end(&p, "to leave)\n>"),
                      "SIGINT is a Ctrl-C");
            kill(p.pid, SIGINT);
        }
        leave(&p, "", 130, "SIGTERM, SIGHUP and SIGINT at the prompt leave");
    }
    for (size_t i = 0; i < 2; i++) {
        open_with(&p, endless, &(struct pty_start){.cols = 80});
        pty_type(&p, "Once upon a time\r");
        pty_check(&p, pty_wait(&p, "time") && pty_wait(&p, " the"), "an endless answer");
        kill(p.pid, numbers[i]);
        leave(&p, "", 130, "SIGTERM and SIGHUP leave in an answer, too");
    }
    open_with(&p, brief, &(struct pty_start){.cols = 80});
    close(p.master);
    p.master = -1;
    const int code = pty_wait_exit(&p);
    pty_check(&p, code == 130 || code == 0, "a terminal that is closed ends the chat");
    pty_close(&p);
}

/* There is no shell that could wake it, so the system lets a stop pass. */
static void ctrl_z(void) {
    struct pty p;
    open_with(&p, brief, &(struct pty_start){.cols = 80});
    pty_type(&p, "a message\x1a");
    pty_check(&p, pty_wait_end(&p, "> a message\n> a message"), "Ctrl-Z, and the text is back");
    leave(&p, "\x15\x04", 0, "the chat goes on");
}

static void typing_ahead(void) {
    struct pty p;
    open_with(&p, endless, &(struct pty_start){.cols = 80});
    pty_type(&p, "Once upon a time\r");
    pty_check(&p, pty_wait(&p, "time") && pty_wait(&p, " the"), "an endless answer");
    pty_type(&p, "/context\rand then 日本");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "(stopped)") && pty_wait(&p, "/context"), "a line typed ahead");
    pty_check(&p, pty_wait(&p, "conversation has"), "is obeyed after the answer");
    pty_check(&p, pty_wait_end(&p, "> and then 日本"), "half a line waits for the rest");
    pty_type(&p, "語");
    pty_check(&p, pty_wait_end(&p, "> and then 日本語"), "which comes");
    leave(&p, "\x03\x03\x03", 130, "Ctrl-C for the line, and twice more, leaves");
    /* Enter and Ctrl-C at once: the Ctrl-C is the answer's. */
    open_with(&p, endless, &(struct pty_start){.cols = 80});
    pty_type(&p, "Once upon a time\r\x03");
    pty_check(&p, pty_wait(&p, "(stopped") && pty_wait_prompt(&p), "a Ctrl-C close behind Enter");
    leave(&p, "/quit\r", 0, "stops and does not leave");
}

/* An answer of 300 tokens into a pipe, read in portions of n bytes. */
static void answer_in_portions(struct pty *p, size_t n) {
    static const char *const args[] = {"chat",          "-q",    "--temp", "0",
                                       "--chat-format", "none",  "-n",     "300",
                                       "--logit-bias",  "2-inf", NULL};
    open_with(p, args, &(struct pty_start){.pipe = true});
    pty_type(p, "Once upon a time\r");
    while (pty_read_out(p, n, "(stopped after 300"))
        ;
    pty_type(p, "\x04");
    while (pty_read_out(p, n, NULL))
        ;
}

static void readers(void) {
    struct pty fast, by_bytes, closed;
    answer_in_portions(&fast, 4096);
    answer_in_portions(&by_bytes, 1);
    pty_check(&fast, fast.answer.len > 300, "a long answer");
    pty_check(&by_bytes,
              by_bytes.answer.len == fast.answer.len &&
                  memcmp(by_bytes.answer.bytes, fast.answer.bytes, fast.answer.len) == 0,
              "a slow reader gets the same");
    pty_check(&by_bytes, pty_wait_exit(&by_bytes) == 0, "and all of it");
    pty_close(&fast);
    pty_close(&by_bytes);
    open_with(&closed, endless, &(struct pty_start){.pipe = true});
    pty_type(&closed, "Once upon a time\r");
    pty_check(&closed, pty_read_out(&closed, 5, NULL), "an answer begins");
    close(closed.out);
    closed.out = -1;
    leave(&closed, "", 1, "a reader that goes away ends the chat");
}

/* What a model writes cannot steer the terminal: <0x1B> is token 30. */
static void escapes_in_answers(void) {
    static const char *const args[] = {"chat",    "-q", "-n",          "3", "--logit-bias",
                                       "30+1000", NULL, "--threshold", "1", NULL};
    const char *moderated[10];
    memcpy(moderated, args, sizeof moderated);
    moderated[6] = "--moderate";
    for (int i = 0; i < 2; i++) {
        struct pty p;
        open_with(&p, i ? moderated : args, &(struct pty_start){.cols = 80});
        pty_type(&p, "Hello\r");
        pty_check(&p, pty_wait(&p, "^[^[^[\r\n"), "an Escape in an answer is shown as ^[");
        pty_check(&p, pty_wait_prompt(&p), "and nothing else happens");
        leave(&p, "\x04", 0, "the chat goes on");
    }
}

/* The question about it is longer than what the demo model sees. */
static void answer_that_cannot_be_judged(void) {
    static const char *const args[] = {"chat",        "-q", "-n",           "400",   "--moderate",
                                       "--threshold", "1",  "--logit-bias", "2-inf", NULL};
    struct pty p;
    open_with(&p, args, &(struct pty_start){.cols = 80});
    pty_type(&p, "Hello\r");
    pty_check(&p, pty_wait(&p, "the answer is withheld: it could not be judged"),
              "an answer too long to be judged is withheld");
    pty_check(&p, pty_wait_prompt(&p), "which is no reason to leave");
    leave(&p, "\x04", 0, "the chat goes on");
}

/* What runs until it is stopped says at once that Ctrl-C was heard. */
static void ctrl_c_is_heard(void) {
    static const char *const run[] = {"run", "-p", "Once upon a time", "-n", "-1", "--ignore-eos",
                                      "-q",  NULL};
    static const char *const measure[] = {"perplexity", "--text", "README.md", "--chunk",
                                          "1",          "--isa",  "scalar",    NULL};
    static const char *const kernels[] = {"bench", "-p", "0", "-n", "0", "--kernels", NULL};
    struct pty p;
    pty_open(&p, &(struct pty_start){.args = kernels, .cols = 80});
    pty_check(&p, pty_wait(&p, "kernels: matmul"), "kernels");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "there is no result"), "hear it");
    pty_check(&p, pty_wait_exit(&p) == 130, "and end");
    pty_close(&p);
    pty_open(&p, &(struct pty_start){.args = run, .cols = 80});
    pty_check(&p, pty_wait(&p, " the"), "an endless text");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "bise: stopping"), "Ctrl-C is heard");
    pty_check(&p, pty_wait_exit(&p) == 130, "and ends it");
    pty_close(&p);
    pty_open(&p, &(struct pty_start){.args = measure, .cols = 80});
    pty_check(&p, pty_wait(&p, "scalar, "), "a measurement");
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "bise: stopping"), "hears it, too");
    pty_check(&p, pty_wait_exit(&p) == 130, "and ends");
    pty_close(&p);
}

/* A table is as narrow as its terminal. */
static void tables(void) {
    static const char *const bench[] = {"bench", "-p", "8", "-n",    "2",      "-r",
                                        "1",     "-t", "1", "--isa", "scalar", NULL};
    struct pty p;
    pty_open(&p, &(struct pty_start){.args = bench, .cols = 80});
    pty_check(&p, pty_wait(&p, "isa     threads  after  at once  tokens/s "), "80 columns");
    pty_check(&p, pty_wait_exit(&p) == 0, "and the end");
    pty_close(&p);
    pty_open(&p, &(struct pty_start){.args = bench, .cols = 120});
    pty_check(&p, pty_wait(&p, "after | at once | tokens/s |"), "120 columns");
    pty_check(&p, pty_wait_exit(&p) == 0, "and their end");
    pty_close(&p);
}

/* Nobody reads: the write that waits is given up. */
static void stuck_reader(void) {
    struct pty p;
    open_with(&p, endless, &(struct pty_start){.pipe = true});
    pty_type(&p, "Once upon a time\r");
    pty_check(&p, pty_read_out(&p, 5, NULL), "an answer begins");
    kill(p.pid, SIGTERM);
    leave(&p, "", 130, "SIGTERM ends a chat whose reader is stuck");
}

int main(void) {
    if (!pty_begin("signals"))
        return 0;
    ctrl_c_while_answering();
    ctrl_c_while_reading();
    signals();
    ctrl_z();
    typing_ahead();
    readers();
    escapes_in_answers();
    answer_that_cannot_be_judged();
    ctrl_c_is_heard();
    tables();
    stuck_reader();
    return pty_end();
}
