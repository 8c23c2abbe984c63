#include "tools/chat/input.h"

#include "tools/chat/commands.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"
#include "tools/edit/color.h"
#include "tools/edit/terminal.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUOTES "\"\"\""

void console_input_open(struct console_input *in, bool with_history) {
    in->on_terminal = isatty(STDIN_FILENO);
    in->editing = terminal_open();
    if (!in->editing) {
        setvbuf(stdin, NULL, _IONBF, 0); /* what is not read yet is to be seen by poll */
        return;
    }
    char *path = with_history ? history_default_path() : NULL;
    history_open(&in->history, path);
    free(path);
    in->editor = (struct editor){.prompt = "> ",
                                 .prompt_on = paint(PAINT_PROMPT),
                                 .prompt_off = paint(PAINT_OFF),
                                 .history = &in->history,
                                 .complete = console_complete};
}

void console_input_close(struct console_input *in) {
    terminal_close();
    editor_free(&in->editor);
    history_close(&in->history);
    free(in->line);
    buffer_free(&in->message);
}

/* ---- the editor ---- */

static void remember_line(struct console_input *in, const char *text) {
    struct bise_error err = {0};
    if (!history_add(&in->history, text, &err))
        complain("%s; this chat's messages are not kept there", err.detail);
}

static enum editor_event edit_message(struct console_input *in, bool several, const char **text,
                                      size_t *len) {
    history_refresh(&in->history);
    const enum editor_event event =
        editor_read(&in->editor, &in->typed, several ? QUOTES "\n" : "");
    if (event != EDITOR_MESSAGE)
        return event;
    *text = editor_message(&in->editor, len);
    remember_line(in, *text);
    return event;
}

/* ---- lines ---- */

/* One line without its end, in in->line. */
static enum editor_event read_line(struct console_input *in, const char *prompt, size_t *len) {
    if (in->on_terminal)
        fprintf(stderr, "%s%s%s", paint(PAINT_PROMPT), prompt, paint(PAINT_OFF));
    if (!input_or_interrupt(STDIN_FILENO) ||
        !read_text_line(stdin, &in->line, &in->line_cap, len, &in->error)) {
        if (in->on_terminal)
            fputc('\n', stderr);
        return interrupted() && !terminated() ? EDITOR_INTERRUPT : EDITOR_END;
    }
    if (*len && in->line[*len - 1] == '\n')
        in->line[--*len] = 0;
    if (*len && in->line[*len - 1] == '\r')
        in->line[--*len] = 0;
    return EDITOR_MESSAGE;
}

/* Goes on until a line ends in quotes; what came before the end of input counts. */
static enum editor_event read_quoted(struct console_input *in) {
    for (;;) {
        size_t len;
        const enum editor_event event = read_line(in, SCREEN_INDENT, &len);
        if (event == EDITOR_INTERRUPT || event == EDITOR_END)
            return event == EDITOR_END && in->message.len ? EDITOR_MESSAGE : event;
        const bool ends = len >= 3 && memcmp(in->line + len - 3, QUOTES, 3) == 0;
        buffer_put(&in->message, in->line, ends ? len - 3 : len);
        if (ends) {
            if (len == 3 && in->message.len)
                in->message.bytes[--in->message.len] = 0;
            return EDITOR_MESSAGE;
        }
        buffer_text(&in->message, "\n");
    }
}

/* A terminal without an editor: quotes and backslashes as there. */
static enum editor_event read_more(struct console_input *in, size_t len) {
    const bool quoted = len >= 3 && memcmp(in->line, QUOTES, 3) == 0;
    if (quoted && len >= 6 && memcmp(in->line + len - 3, QUOTES, 3) == 0) {
        buffer_put(&in->message, in->line + 3, len - 6);
        return EDITOR_MESSAGE;
    }
    if (quoted) {
        buffer_put(&in->message, in->line + 3, len - 3);
        if (len > 3)
            buffer_text(&in->message, "\n");
        return read_quoted(in);
    }
    enum editor_event event = EDITOR_MESSAGE;
    while (event == EDITOR_MESSAGE && len && in->line[len - 1] == '\\') {
        buffer_put(&in->message, in->line, len - 1);
        buffer_text(&in->message, "\n");
        len = 0;
        event = read_line(in, SCREEN_INDENT, &len);
    }
    if (event == EDITOR_MESSAGE)
        buffer_put(&in->message, in->line, len);
    return event;
}

static enum editor_event read_lines(struct console_input *in, bool several, const char **text,
                                    size_t *len) {
    buffer_clear(&in->message);
    buffer_text(&in->message, "");
    enum editor_event event;
    if (several) {
        event = read_quoted(in);
    } else {
        event = read_line(in, "> ", len);
        if (event == EDITOR_MESSAGE && !in->on_terminal) {
            *text = in->line;
            return event;
        }
        if (event == EDITOR_MESSAGE)
            event = read_more(in, *len);
    }
    *text = in->message.bytes;
    *len = in->message.len;
    if (in->message.failed) {
        complain("no memory for the message");
        return EDITOR_END;
    }
    return event;
}

enum editor_event console_input_read(struct console_input *in, bool several, const char **text,
                                     size_t *len) {
    return in->editing ? edit_message(in, several, text, len) : read_lines(in, several, text, len);
}

int console_input_status(const struct console_input *in) {
    const int error = in->editing ? in->typed.error : in->error;
    if (error == 0)
        return EXIT_DONE;
    return refuse(error == ENOMEM ? EXIT_MEMORY : EXIT_INPUT, "reading standard input: %s",
                  strerror(error));
}

char console_input_ask(struct console_input *in, const char *question) {
    const char *const prompt = in->editor.prompt;
    const char *text = NULL;
    size_t len = 0;
    say("\n%s\n", question);
    in->editor.prompt = "? ";
    const enum editor_event event =
        in->editing ? editor_read(&in->editor, &in->typed, "") : read_line(in, "? ", &len);
    in->editor.prompt = prompt;
    if (event != EDITOR_MESSAGE)
        return 0;
    text = in->editing ? editor_message(&in->editor, &len) : in->line;
    return len == 0 ? '\n' : (char)tolower((unsigned char)text[0]);
}

/* ---- $EDITOR ---- */

/* Runs the editor on the file, which has the terminal until it ends; false: it failed. */
static bool run_editor(const char *file) {
    extern char **environ;
    static const char command[] = "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"";
    char name[PATH_MAX];
    posix_spawnattr_t attributes;
    sigset_t defaults;
    pid_t child;
    int status = 1;
    snprintf(name, sizeof name, "%s", file);
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)command, "sh", name, NULL};
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (posix_spawn(&child, "/bin/sh", NULL, &attributes, argv, environ) == 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    posix_spawnattr_destroy(&attributes);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool console_input_edit(struct console_input *in, const char **text, size_t *len) {
    const char *const folder = getenv("TMPDIR");
    char file[PATH_MAX];
    char *written = NULL;
    size_t n = 0;
    snprintf(file, sizeof file, "%s/bise-message.XXXXXX.md", folder && *folder ? folder : "/tmp");
    const int fd = mkstemps(file, 3); /* readable by its owner alone */
    if (fd < 0)
        return complain("%s: %s", file, strerror(errno));
    close(fd);
    if (in->editing)
        terminal_close();
    const bool good = run_editor(file);
    if (in->editing)
        in->editing = terminal_open();
    interrupt_clear(); /* Ctrl-C was the editor's */
    if (!good)
        complain("the editor failed; $EDITOR names it");
    else if (read_text(file, ANY_LENGTH, &written, &n) == EXIT_DONE) {
        while (n && (written[n - 1] == '\n' || written[n - 1] == ' '))
            n--;
        buffer_clear(&in->message);
        buffer_put(&in->message, written, n);
    }
    unlink(file);
    free(written);
    *text = in->message.bytes;
    *len = n;
    if (n && memchr(*text, 0, n)) {
        complain("what was written is no text");
        n = 0;
    }
    if (n && in->editing)
        remember_line(in, *text);
    return n && !in->message.failed;
}
