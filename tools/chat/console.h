/* What a chat consists of: the options it was begun with, the model, the conversation. */
#ifndef BISE_TOOLS_CHAT_CONSOLE_H
#define BISE_TOOLS_CHAT_CONSOLE_H

#include "tools/chat/conversation.h"
#include "tools/chat/session_store.h"
#include "tools/common/buffer.h"
#include "tools/common/moderation.h"
#include "tools/common/sampling.h"

struct chat_options {
    struct runtime_options runtime;
    struct sampling_options sampling;
    const char *format, *system, *color;
    const char *session;  /* NULL: none */
    const char *overflow; /* NULL: ask on a terminal, else stop */
    int64_t n_predict;    /* CONSOLE_DEFAULT_LENGTH: until the model ends its answer */
    double threshold;     /* of --moderate */
    bool guard, moderate, jsonl, dump_tokens, quiet;
    bool go_on, list; /* with the last chat; show which there are */
    bool no_save, no_history;
    const char *prompt;       /* one question, and an end; NULL: a conversation */
    struct option_list files; /* texts that go before it */
};

#define CONSOLE_DEFAULT_LENGTH -2

/* Not to be moved once it is open: its parts point at each other. */
struct console {
    struct chat_options options; /* /set and /model change them */
    enum chat_format format;
    struct runtime runtime;
    struct conversation conversation;
    struct session_store store;
    struct moderation moderation; /* with --moderate */
    struct buffer held_answer;    /* one that has not been judged yet */
    char *model_path;             /* of a model that /model has switched to */
    struct buffer read;           /* by /read, or -f: goes before the next message */
    bool asked_once;              /* -p or -f: one message, one answer */
    bool keeps;                   /* the session is a journal alone: a chat that is kept */
    char *session_path;           /* of it, or of one with a name */
    bool attended;                /* somebody sits at the terminal, and can be asked */
};

/* The chat format asked for (may be NULL), or the model's own; never a guess. Returns an exit code,
 * the fault said on stderr. */
int console_format(const struct runtime *e, const char *asked, enum chat_format *format);

/* Which session the chat goes on with or begins, by --continue and --session, and with which model
 * where none is given. Returns an exit code. */
int console_choose_session(struct console *t);
/* Begins to keep what is said: from here on the conversation is watched. Where that cannot be, that
 * is said, and the chat goes on. */
void console_keep(struct console *t);
/* Whether there is a session that the user knows as a file. */
bool console_has_session(const struct console *t);

/* What can be refused by the options and the headers of files alone is refused, before gigabytes
 * are read: model, chat format, grammar, sampling, session, the texts of -f and their length.
 * Returns an exit code, the fault said on stderr; console_close is due in any case. */
int console_look(struct console *t);
/* Opens model, conversation and sampler as t->options say (those alone are filled). Returns an exit
 * code, the fault said on stderr; console_close is due in any case. */
int console_open(struct console *t);
/* Whether a text of a message can stand in the context at all; if not, that is said. Returns an
 * exit code. */
int console_fits(const struct runtime *e, const char *text, size_t len);
/* The options' seed becomes the sampler's, which a session may have brought. */
void console_take_seed(struct console *t);
/* Answers are sampled anew with the next seed, which stays; it is said, unless quiet. */
void console_next_seed(struct console *t);
/* Saves the session, if there is one and it has changed, and lets go of it. Returns an exit code,
 * the fault said on stderr; the session is then still there. */
int console_leave_session(struct console *t);
/* Without saving. */
void console_close(struct console *t);

/* The part of it that depends on the model: runtime, conversation, sampler. As console_open and
 * console_close. */
int console_open_model(struct console *t);
void console_close_model(struct console *t);

enum switch_result {
    SWITCH_DONE,
    SWITCH_REFUSED, /* said on stderr; the model is the same as before */
    SWITCH_LOST     /* said on stderr; neither could be opened: only console_close is left */
};
/* The model in path, in this chat format (NULL: its own), goes on with the conversation, which is
 * kept as text. A session is saved and closed: it belongs to the model. */
enum switch_result console_switch(struct console *t, const char *path, const char *format);

#endif
