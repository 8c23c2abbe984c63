/* bise list, bise rm: the models in their home. */
#include "src/base/array.h"
#include "src/text/chat_format.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BISE_ENDING ".bise"

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_model_name(const char *name) {
    const size_t n = strlen(name), n_ending = strlen(BISE_ENDING);
    return name[0] != '.' && n > n_ending && strcmp(name + n - n_ending, BISE_ENDING) == 0;
}

/* Names of the models in the folder, sorted; each and the list are the caller's. */
static size_t find_models(const char *folder, char ***names) {
    size_t n = 0, cap = 0;
    DIR *dir = opendir(folder);
    *names = NULL;
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (!is_model_name(e->d_name))
            continue;
        char *const name =
            array_grow(names, &cap, n + 1, sizeof **names) ? strdup(e->d_name) : NULL;
        if (name)
            (*names)[n++] = name;
    }
    if (dir)
        closedir(dir);
    if (n)
        qsort(*names, n, sizeof **names, by_name);
    return n;
}

struct listed {
    char name[256], used[16];
    uint64_t bytes;
    double billions;
    const char *format;
    char type[8];
    uint32_t n_layers, dim;
};

/* What its header says. False: it is damaged, or of another kind. */
static bool look_at(struct listed *l, const char *folder, const char *file) {
    const struct bise_model_params params = {.no_tensors = true};
    struct bise_model *model = NULL;
    char path[PATH_MAX + 256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(l->name, sizeof l->name, "%.*s", (int)(strlen(file) - strlen(BISE_ENDING)), file);
    if (bise_model_open(&model, path, &params, NULL) != BISE_OK)
        return false;
    const struct bise_model_info *const info = bise_model_info(model);
    l->bytes = info->file_bytes;
    l->billions = (double)info->n_params / 1e9;
    l->n_layers = info->n_layers;
    l->dim = info->dim;
    snprintf(l->type, sizeof l->type, "%s", info->weight_type);
    const enum chat_format format = chat_format_from_name(info->chat_format);
    l->format = format == CHAT_FORMAT_COUNT ? "unknown" : chat_format_name(format);
    bise_model_close(&model);
    struct tm day;
    if (stat(path, &st) == 0 && localtime_r(&st.st_atim.tv_sec, &day))
        strftime(l->used, sizeof l->used, "%Y-%m-%d", &day);
    return true;
}

static void print_listed(const struct listed *l, int width, bool json, bool first) {
    char size[SIZE_TEXT];
    if (json)
        print("%s\n{\"name\": \"%s\", \"gigabytes\": %.3f, \"parameters\": %.0f, \"layers\": %u, "
              "\"dim\": %u, \"type\": \"%s\", \"chat_format\": \"%s\", \"used\": \"%s\"}",
              first ? "[" : ",", l->name, (double)l->bytes / 1e9, l->billions * 1e9, l->n_layers,
              l->dim, l->type, l->format, l->used);
    else
        print("%-*s %10s  %7.3f G  %3u x %-5u  %-5s %-8s %s\n", width, l->name,
              size_text(size, l->bytes), l->billions, l->n_layers, l->dim, l->type, l->format,
              l->used);
}

int cmd_list(int argc, char **argv) {
    char folder[PATH_MAX];
    bool json = false;
    size_t n_shown = 0;
    int code;
    const struct option_def defs[] = {
        {"--json", OPT_FLAG(&json), "print a JSON array"},
    };
    if (!options_parse(argc, argv, defs, 1, "bise list [--json]", NULL, 0, &code))
        return code;
    if (!models_home(folder))
        return refuse(EXIT_USAGE, "no home for models: neither HOME nor BISE_MODELS is set");
    char **names;
    const size_t n = find_models(folder, &names);
    int width = 8;
    for (size_t i = 0; i < n; i++)
        if ((int)strlen(names[i]) - (int)strlen(BISE_ENDING) > width)
            width = (int)(strlen(names[i]) - strlen(BISE_ENDING));
    if (n && !json)
        print("%-*s %10s  %9s  %-11s  %-5s %-8s %s\n", width, "name", "size", "weights", "layers",
              "type", "format", "last used");
    for (size_t i = 0; i < n; i++) {
        struct listed l = {.n_layers = 0};
        if (look_at(&l, folder, names[i]))
            print_listed(&l, width, json, !n_shown++);
        else
            complain("%s/%s is not a sound .bise file (bise verify says more)", folder, names[i]);
        free(names[i]);
    }
    free(names);
    if (json)
        fputs(n_shown ? "\n]\n" : "[]\n", stdout);
    else if (!n)
        say("no models in %s yet: bise pull NAME fetches one, bise quantize SOURCE -o NAME makes "
            "one\n",
            folder);
    return EXIT_DONE;
}

int cmd_rm(int argc, char **argv) {
    const char *name = NULL;
    char path[PATH_MAX], line[16], size[SIZE_TEXT];
    bool force = false;
    struct stat st;
    int code;
    const struct option_def defs[] = {
        {"-f|--force", OPT_FLAG(&force), "do not ask"},
    };
    if (!options_parse(argc, argv, defs, 1, "bise rm NAME [-f]", &name, 1, &code))
        return code;
    if (!name)
        return refuse(EXIT_USAGE, "expected the NAME of a model (bise list shows them)");
    if (!models_home_file(path, name))
        return refuse(EXIT_USAGE, "expected the NAME of a model in the models' home, found \"%s\"",
                      name);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return refuse(EXIT_INPUT, "%s: there is no model of this name (bise list shows them)",
                      name);
    if (!force && isatty(STDIN_FILENO)) {
        say("remove %s, %s? [y/N] ", path, size_text(size, (uint64_t)st.st_size));
        if (!fgets(line, sizeof line, stdin) || (line[0] != 'y' && line[0] != 'Y'))
            return refuse(EXIT_FAILED, "%s stays", name);
    }
    if (unlink(path) != 0)
        return refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    say("removed: %s, %s\n", path, size_text(size, (uint64_t)st.st_size));
    return EXIT_DONE;
}
