/* The bise program: picks the subcommand. */
#include "tools/common/mapping.h"
#include "tools/common/nearest.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"chat", cmd_chat, "talk with a model"},
    {"run", cmd_run, "complete a text"},
    {"serve", cmd_serve, "answer by HTTP: OpenAI's interface and a web page"},
    {"moderate", cmd_moderate, "classify a text or a conversation by moderation categories"},
    {"quantize", cmd_quantize, "make a .bise file from a checkpoint"},
    {"calibrate", cmd_calibrate, "measure on a text what bise quantize should spare"},
    {"plan", cmd_plan, "the memory a model will take here, and whether it fits"},
    {"inspect", cmd_inspect, "show what a .bise file holds"},
    {"set", cmd_set, "change a .bise file's chat format, window, name or tokenizer"},
    {"diff", cmd_diff, "compare the weights of two models"},
    {"verify", cmd_verify, "check every checksum of a .bise file"},
    {"tokenize", cmd_tokenize, "text to token ids and back"},
    {"perplexity", cmd_perplexity, "measure a model on a text"},
    {"bench", cmd_bench, "measure speed beside this machine's limits"},
    {"report", cmd_report, "files of bench as a page with pictures"},
    {"pull", cmd_pull, "fetch a checkpoint from a hub, and make a .bise file of it"},
    {"list", cmd_list, "the models in their home: size, type, when they were used"},
    {"rm", cmd_rm, "remove a model from there"},
    {"study", cmd_study, "the paper's experiments, with the model at hand"},
    {"synth", cmd_synth, "write a random model of a given shape, for speed work"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *to) {
    print_to(to, "bise runs Mistral 7B and its family on CPUs.\n\n"
                 "usage: bise COMMAND [options]      bise COMMAND --help\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        print_item(to, commands[i].name, 15, commands[i].help);
}

/* One that is closed would become the next file that is opened, and what is printed would go there.
 * Reading from what takes its place gives the end, writing to it fails. */
static void fill_standard_descriptors(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* Index of the command of this name; N_COMMANDS, said on stderr, if there is none. */
static size_t find_command(const char *name) {
    struct nearest near = {.word = name, .len = strlen(name)};
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return i;
        nearest_offer(&near, commands[i].name);
    }
    nearest_offer(&near, "help");
    nearest_offer(&near, "--version");
    if (near.best)
        complain("unknown command \"%s\"; do you mean %s? (bise help lists them)", name, near.best);
    else
        complain("unknown command \"%s\" (bise help lists them)", name);
    return N_COMMANDS;
}

/* The exit status, unless what was printed did not arrive. */
static int ended(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    const bool full = errno == ENOSPC || errno == EDQUOT;
    complain("writing to standard output failed: %s", strerror(errno));
    return code != EXIT_DONE ? code : full ? EXIT_MEMORY : EXIT_FAILED;
}

static int run_command(size_t i, int argc, char **argv) {
    errors_of_command(commands[i].name);
    return ended(commands[i].run(argc, argv));
}

int main(int argc, char **argv) {
    fill_standard_descriptors();
    mapping_watch_all();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, said as one */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file beyond the limit of ulimit -f */
    signal(SIGCHLD, SIG_DFL); /* whoever ignored it before: programs that are run are waited for */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return ended(cmd_version(argc - 1, argv + 1));
    if ((help && argc == 2) || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return ended(EXIT_DONE);
    }
    const size_t i = find_command(argv[help ? 2 : 1]);
    if (i == N_COMMANDS)
        return EXIT_USAGE;
    char *asks_help[] = {argv[help ? 2 : 1], "--help", NULL};
    return help ? run_command(i, 2, asks_help) : run_command(i, argc - 1, argv + 1);
}
