/* The bise program: picks the subcommand. */
#include "tools/common/tools.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#ifndef BISE_VERSION
#define BISE_VERSION "0.1.0"
#endif

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"chat", cmd_chat, "talk with a model"},
    {"run", cmd_run, "complete a text"},
    {"moderate", cmd_moderate, "classify a text or a conversation by moderation categories"},
    {"quantize", cmd_quantize, "make a .bise file from a checkpoint"},
    {"calibrate", cmd_calibrate, "measure on a text what bise quantize should spare"},
    {"plan", cmd_plan, "the memory a model will take here, and whether it fits"},
    {"inspect", cmd_inspect, "show what a .bise file holds"},
    {"diff", cmd_diff, "compare the weights of two models"},
    {"verify", cmd_verify, "check every checksum of a .bise file"},
    {"tokenize", cmd_tokenize, "text to token ids and back"},
    {"perplexity", cmd_perplexity, "measure a model on a text"},
    {"bench", cmd_bench, "measure speed beside this machine's limits"},
    {"synth", cmd_synth, "write a random model of a given shape, for speed work"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *to) {
    fprintf(to, "bise runs Mistral 7B and its family on CPUs.\n\n"
                "usage: bise COMMAND [options]      bise COMMAND --help\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].help);
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

int main(int argc, char **argv) {
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, said as one */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("bise %s\n", BISE_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            const int code = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "bise: writing to standard output failed\n");
                return code == EXIT_DONE ? EXIT_FAILED : code;
            }
            return code;
        }
    }
    fprintf(stderr, "bise: unknown command \"%s\"\n\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}
