/* bise chat at a terminal: chats that are kept, gone on with, listed and exported; words that are
 * not cut; the editor; ways to leave. */
#include "tests/pty/pty.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const brief[] = {"chat", "-q", "--temp", "0", "-n", "4", NULL};

static void open_with(struct pty *p, const char *const *args, const struct pty_start *how) {
    struct pty_start start = *how;
    start.args = args;
    pty_open(p, &start);
}

static void leave(struct pty *p, const char *keys, int code, const char *name) {
    pty_type(p, keys);
    pty_check(p, pty_wait_exit(p) == code, name);
    pty_check(p, pty_restored(p) && !p->vt.unknown, "and the terminal is as before");
    pty_close(p);
}

static void say(struct pty *p, const char *message) {
    pty_type(p, message);
    pty_type(p, "\r");
    pty_check(p, pty_wait_prompt(p), message);
}

/* The mode of a file in the chats' folder; 0: there is none. */
static unsigned mode_of(const char *name) {
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/bise/chats/%s", pty_folder(), name);
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void kept_and_gone_on_with(void) {
    static const char *const go_on[] = {"chat", "--continue", "--temp", "0", "-n", "4", NULL};
    static const char *const list[] = {"chat", "--list", NULL};
    static const char *const unsaved[] = {"chat", "-q", "--no-save", "--temp",
                                          "0",    "-n", "4",         NULL};
    struct pty p;
    open_with(&p, go_on, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait(&p, "no chat is kept yet"), "there is none to go on with");
    pty_check(&p, pty_wait_exit(&p) == 2, "which is said");
    pty_close(&p);
    open_with(&p, brief, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat");
    say(&p, "The first words of it");
    pty_check(&p, mode_of("") == 0700, "its folder is the owner's alone");
    leave(&p, "/bye\r", 0, "/bye leaves");
    open_with(&p, list, &(struct pty_start){.cols = 120});
    pty_check(&p, pty_wait(&p, "demo.bise") && pty_wait(&p, "The first words of it"),
              "--list shows it");
    pty_wait_exit(&p);
    pty_close(&p);
    open_with(&p, unsaved, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat that is not kept");
    say(&p, "Not to be kept");
    leave(&p, "/exit\r", 0, "/exit leaves");
    open_with(&p, go_on, &(struct pty_start){.cols = 120});
    pty_check(&p, pty_wait(&p, "going on after 2 messages") && pty_wait_prompt(&p),
              "--continue goes on with the one that was kept");
    pty_type(&p, "More\r");
    pty_check(&p, pty_wait(&p, "(what was said, and your message: ") && pty_wait_prompt(&p),
              "and tells how long reading it took");
    pty_type(&p, "More\r");
    pty_check(&p, pty_wait_prompt(&p), "once");
    pty_type(&p, "/save\r");
    pty_check(&p, pty_wait(&p, "no session file yet"), "it is no file of the user's");
    leave(&p, "\x04", 0, "the end of input leaves");
    open_with(&p, go_on, &(struct pty_start){.cols = 120});
    pty_check(&p, pty_wait(&p, "going on after 6 messages") && pty_wait_prompt(&p),
              "and again with what was added");
    leave(&p, "/quit\r", 0, "/quit leaves");
}

static void session_with_a_name(void) {
    static const char *const first[] = {"chat", "--session",        "diary", "--temp", "0", "-n",
                                        "4",    "models/demo.bise", NULL};
    static const char *const again[] = {"chat", "--session", "diary", "--temp",
                                        "0",    "-n",        "4",     NULL};
    static const char *const list[] = {"chat", "--list", NULL};
    struct pty p;
    open_with(&p, first, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait(&p, "a new session") && pty_wait_prompt(&p), "a session with a name");
    say(&p, "Dear diary");
    pty_type(&p, "\x04");
    pty_check(&p, pty_wait(&p, "saved: ") && pty_wait_exit(&p) == 0, "is saved");
    pty_close(&p);
    pty_check(&p, mode_of("diary") == 0600 && mode_of("diary.model"), "among the chats");
    open_with(&p, again, &(struct pty_start){.cols = 80, .env = "BISE_MODEL=/nowhere"});
    pty_check(&p, pty_wait(&p, "going on after 2 messages") && pty_wait_prompt(&p),
              "and remembers its model");
    leave(&p, "\x04", 0, "the end");
    open_with(&p, list, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait(&p, "demo.bise  Dear diary"), "--list knows its first words");
    pty_wait_exit(&p);
    pty_close(&p);
}

static void exported(void) {
    struct pty p;
    char command[4200], path[4100];
    struct stat st;
    open_with(&p, brief, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat to export");
    say(&p, "Hello");
    for (int i = 0; i < 3; i++) {
        static const char *const endings[] = {"md", "json", "txt"};
        snprintf(path, sizeof path, "%s/it.%s", pty_folder(), endings[i]);
        snprintf(command, sizeof command, "/export %s\r", path);
        pty_type(&p, command);
        pty_check(&p, pty_wait(&p, ": 2 messages") && pty_wait_prompt(&p), "/export writes it");
        pty_check(&p, stat(path, &st) == 0 && st.st_size > 10, "as a file");
    }
    pty_type(&p, command);
    pty_check(&p, pty_wait(&p, "is not written over") && pty_wait_prompt(&p), "once");
    pty_type(&p, "/export it.doc\r");
    pty_check(&p, pty_wait(&p, "expected a file that ends in") && pty_wait_prompt(&p), "as what?");
    leave(&p, "\x04", 0, "the end");
}

static void leaving(void) {
    struct pty p;
    open_with(&p, brief, &(struct pty_start){.cols = 80});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat to leave");
    pty_type(&p, "exit\r");
    pty_check(&p, pty_wait(&p, "Leave the chat?") && pty_wait_end(&p, "?"), "a bare exit asks");
    pty_type(&p, "n\r");
    pty_check(&p, pty_wait_prompt(&p), "and stays");
    pty_type(&p, "/?\r");
    pty_check(&p, pty_wait(&p, "/export") && pty_wait_prompt(&p), "/? is help");
    pty_type(&p, "quit\r");
    pty_check(&p, pty_wait(&p, "Leave the chat?") && pty_wait_end(&p, "?"), "a bare quit asks");
    leave(&p, "y\r", 0, "and leaves");
}

static void written_in_an_editor(void) {
    struct pty p;
    char script[4100], env[4200];
    snprintf(script, sizeof script, "%s/editor", pty_folder());
    snprintf(env, sizeof env, "EDITOR=%s", script);
    FILE *f = fopen(script, "w");
    if (!f)
        return; /* the next check fails */
    fprintf(f, "#!/bin/sh\nprintf 'Two\\nlines\\n' >\"$1\"\n");
    fclose(f);
    chmod(script, 0700);
    open_with(&p, brief, &(struct pty_start){.cols = 80, .env = env});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat with an editor");
    pty_type(&p, "/edit\r");
    pty_check(&p, pty_wait(&p, "lines") && pty_wait_prompt(&p), "/edit takes what it wrote");
    pty_type(&p, "\x1b[A");
    pty_check(&p, pty_wait_end(&p, "> Two\n. lines"), "as a message");
    leave(&p, "\x15\x0b\x08\x15\x04", 0, "the end");
    open_with(&p, brief, &(struct pty_start){.cols = 80, .env = "EDITOR=false"});
    pty_check(&p, pty_wait_end(&p, ">"), "a chat with none");
    pty_type(&p, "/edit\r");
    pty_check(&p, pty_wait(&p, "the editor failed") && pty_wait_prompt(&p), "which is said");
    leave(&p, "\x04", 0, "the end");
}

/* No row of an answer ends within a word. */
static void words_are_whole(void) {
    static const char *const args[] = {"chat", "-q",           "--temp", "0", "-n",
                                       "60",   "--logit-bias", "2-inf",  NULL};
    static const char *const piped[] = {"chat", "-q",           "--temp", "0", "-n",
                                        "60",   "--logit-bias", "2-inf",  NULL};
    struct pty narrow, wide;
    open_with(&narrow, args, &(struct pty_start){.cols = 24, .rows = 60});
    open_with(&wide, piped, &(struct pty_start){.pipe = true, .cols = 80});
    struct pty *both[] = {&narrow, &wide};
    for (int i = 0; i < 2; i++) {
        pty_check(both[i], pty_wait_end(both[i], ">"), "a chat");
        pty_type(both[i], "Tell me a story.\r");
        pty_check(both[i], pty_wait(both[i], "(stopped after 60"), "a long answer");
    }
    while (pty_read_out(&wide, 4096, "(stopped after 60"))
        ;
    char *screen = vt_text(&narrow.vt);
    const char *at = wide.answer.bytes;
    size_t n_rows = 0;
    bool good = true;
    for (char *row = strtok(strstr(screen, "\n") + 1, "\n"); row; row = strtok(NULL, "\n")) {
        if (strncmp(row, "(stopped", 8) == 0 || row[0] == '>')
            break;
        while (*at == ' ' || *at == '\n')
            at++;
        good = good && strncmp(at, row, strlen(row)) == 0;
        at += strlen(row);
        good = good && (*at == ' ' || *at == '\n' || !*at);
        n_rows++;
    }
    pty_check(&narrow, good && n_rows > 5, "rows end between words");
    free(screen);
    leave(&narrow, "\x04", 0, "the end");
    pty_close(&wide);
}

/* Nor does one of what the program says. */
static void said_in_whole_words(void) {
    struct pty p;
    open_with(&p, brief, &(struct pty_start){.cols = 40, .rows = 80});
    pty_check(&p, pty_wait_end(&p, ">"), "a narrow terminal");
    pty_type(&p, "/help\r");
    pty_check(&p, pty_wait(&p, "Ctrl-C") && pty_wait_prompt(&p), "help");
    pty_type(&p, "/frobnicate\r");
    pty_check(&p, pty_wait(&p, "there is no command") && pty_wait_prompt(&p), "a long line");
    char *screen = vt_text(&p.vt);
    pty_check(&p, strstr(screen, "\n      take your last message and its\n      answer back\n"),
              "help goes on below, indented");
    pty_check(&p,
              strstr(screen, "\nthere is no command /frobnicate; /help\nlists them, // begins a "
                             "message with a\nslash\n"),
              "a line is broken between words");
    free(screen);
    leave(&p, "\x04", 0, "the end");
}

/* A text for a model that was trained to be asked: said once, where there are no marks in it. */
static void run_hints(void) {
    static const char *const plain[] = {"run", "-p", "The king", "-n", "2", NULL};
    static const char *const marked[] = {"run", "-p", "<s>[INST] Hello [/INST]", "--special", "-n",
                                         "2",   NULL};
    static const char *const quiet[] = {"run", "-p", "The king", "-n", "2", "-q", NULL};
    const char *const *const all[] = {plain, marked, quiet};
    for (int i = 0; i < 3; i++) {
        struct pty p;
        open_with(&p, all[i], &(struct pty_start){.cols = 120});
        pty_check(&p, pty_wait_exit(&p) == 0, "a text");
        buffer_text(&p.bytes, "");
        const char *const hint = strstr(p.bytes.bytes, "bise chat -p asks");
        pty_check(&p, (hint != NULL) == (i == 0), i ? "no hint" : "a hint");
        pty_close(&p);
    }
}

int main(void) {
    if (!pty_begin("chats"))
        return 0;
    kept_and_gone_on_with();
    session_with_a_name();
    exported();
    leaving();
    written_in_an_editor();
    words_are_whole();
    said_in_whole_words();
    run_hints();
    return pty_end();
}
