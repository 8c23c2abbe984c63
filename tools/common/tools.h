/* What the subcommands share: exit codes, option parsing, messages. */
#ifndef BISE_TOOLS_COMMON_TOOLS_H
#define BISE_TOOLS_COMMON_TOOLS_H

#include "src/bise.h"
#include <stdio.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_INPUT = 3, /* a file that cannot be opened, read or created, or is not what it should be */
    EXIT_MEMORY = 4,     /* not enough memory or disk */
    EXIT_MODERATED = 10, /* a text falls into one of the categories */
    EXIT_INTERRUPTED = 130
};

/* Exit code of a status. */
enum exit_code exit_code_of(enum bise_status status);
/* From here on errors are said as those of this command (kept by the caller). */
void errors_of_command(const char *name);
/* A line on stderr: "bise COMMAND: ", the text. Returns false. */
__attribute__((format(printf, 1, 2))) bool complain(const char *format, ...);
/* The same; returns code. */
__attribute__((format(printf, 2, 3))) int refuse(enum exit_code code, const char *format, ...);
/* Says err's detail, or else what the status means; returns exit_code_of(status). */
int report(enum bise_status status, const struct bise_error *err);

enum option_kind { OPTION_FLAG, OPTION_STRING, OPTION_INT, OPTION_FLOAT, OPTION_LIST };

#define OPTION_LIST_MAX 64
#define OPTION_DEFS_MAX 96 /* options of a command */

struct option_list {
    const char *items[OPTION_LIST_MAX]; /* point into argv */
    size_t n;
};

struct option_def {
    const char *name; /* "-m", "--temp"; alternatives separated by '|': "-n|--n-predict" */
    enum option_kind kind;
    void *out;       /* the variable; keeps its default where the option is absent */
    double min, max; /* INT and FLOAT: accepted range; both 0: any */
    const char *arg; /* what --help calls the argument: "FILE" */
    const char *help;
};

/* What follows an option's name: a flag, which is present or not; a text, which points into argv; a
 * text for every time the option is given; a whole number or any within a range. Behind it stand
 * what --help calls the argument (but of a flag) and what it says. */
#define OPT_FLAG(out)            OPTION_FLAG, (bool *){out}, 0, 0, NULL
#define OPT_STRING(out)          OPTION_STRING, (const char **){out}, 0, 0
#define OPT_LIST(out)            OPTION_LIST, (struct option_list *){out}, 0, 0
#define OPT_INT(out, min, max)   OPTION_INT, (int64_t *){out}, min, max
#define OPT_FLOAT(out, min, max) OPTION_FLOAT, (double *){out}, min, max

/* Parses argv[1..]. Positional arguments (those not options; all after "--") go to positional
 * [max_positional], of which those not given stay as they are. "--help" and "-h" print usage and
 * the options and return EXIT_DONE through *exit_code with false. Any fault is said on stderr,
 * naming the option; then false with EXIT_USAGE. "--name=value" and "--name value" are both
 * accepted. usage: the lines after "usage: ", e.g. "bise inspect FILE [options]". */
bool options_parse(int argc, char **argv, const struct option_def *defs, size_t n_defs,
                   const char *usage, const char **positional, size_t max_positional,
                   int *exit_code);

/* Whether arg (its first len bytes) is one of the option's spellings. */
bool option_is(const struct option_def *d, const char *arg, size_t len);
/* Converts text into the option's variable. False, said on stderr under this name: it is no value
 * for it, and the variable is as before. */
bool option_set(const struct option_def *d, const char *name, const char *text);
/* Lines that show the command in use, up to a NULL; NULL if there are none. */
const char *const *command_examples(const char *command);

/* Subcommands; argv[0] is the subcommand's name. Return an exit code. */
int cmd_chat(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_moderate(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_perplexity(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_study(int argc, char **argv);
int cmd_synth(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_rm(int argc, char **argv);
/* "--version", and -v behind it. */
int cmd_version(int argc, char **argv);

#endif
