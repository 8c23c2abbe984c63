#include "tools/common/tools.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum exit_code exit_code_of(enum bise_status status) {
    switch (status) {
    case BISE_OK:
        return EXIT_DONE;
    case BISE_ERR_ARG:
    case BISE_ERR_CPU:
    case BISE_ERR_CONTEXT:
        return EXIT_USAGE;
    case BISE_ERR_IO:
    case BISE_ERR_FORMAT:
    case BISE_ERR_UNSUPPORTED:
        return EXIT_INPUT;
    case BISE_ERR_MEMORY:
    case BISE_ERR_DISK:
        return EXIT_MEMORY;
    case BISE_ERR_INTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

int report(enum bise_status status, const struct bise_error *err) {
    const char *detail = err && err->detail[0] ? err->detail : bise_strerror(status);
    fprintf(stderr, "bise: %s\n", detail);
    return exit_code_of(status);
}

bool option_is(const struct option_def *d, const char *arg, size_t len) {
    const char *names = d->name;
    while (*names) {
        const size_t n = strcspn(names, "|");
        if (n == len && memcmp(names, arg, len) == 0)
            return true;
        names += n + (names[n] == '|');
    }
    return false;
}

static void print_help(const char *command, const char *usage, const struct option_def *defs,
                       size_t n_defs) {
    const char *const *examples = command_examples(command);
    printf("usage: %s\n", usage);
    if (n_defs)
        printf("\noptions:\n");
    for (size_t i = 0; i < n_defs; i++) {
        char left[80];
        size_t at = 0;
        for (const char *p = defs[i].name; *p && at + 3 < sizeof left; p++) {
            if (*p == '|') {
                left[at++] = ',';
                left[at++] = ' ';
            } else {
                left[at++] = *p;
            }
        }
        left[at] = 0;
        if (defs[i].arg && at + 1 < sizeof left)
            snprintf(left + at, sizeof left - at, " %s", defs[i].arg);
        if (strlen(left) > 26)
            printf("  %s\n  %-26s  %s\n", left, "", defs[i].help);
        else
            printf("  %-26s  %s\n", left, defs[i].help);
    }
    if (examples)
        printf("\nexamples:\n");
    for (; examples && *examples; examples++)
        printf("  %s\n", *examples);
}

static bool append_value(struct option_list *list, const char *name, const char *text) {
    if (list->n == OPTION_LIST_MAX) {
        fprintf(stderr, "bise: %s: expected at most %d of them\n", name, OPTION_LIST_MAX);
        return false;
    }
    list->items[list->n++] = text;
    return true;
}

bool option_set(const struct option_def *d, const char *name, const char *text) {
    char *end = NULL;
    int64_t whole = 0;
    double value = 0;
    errno = 0;
    switch (d->kind) {
    case OPT_STRING:
        *(const char **)d->out = text;
        return true;
    case OPT_LIST:
        return append_value(d->out, name, text);
    case OPT_INT:
        whole = strtoll(text, &end, 10);
        value = (double)whole;
        break;
    case OPT_FLOAT:
        value = strtod(text, &end);
        if (!isfinite(value))
            errno = ERANGE;
        break;
    case OPT_FLAG:
        return false;
    }
    if (end == text || *end || errno) {
        fprintf(stderr, "bise: %s: expected %s, found \"%s\"\n", name,
                d->kind == OPT_INT ? "a whole number" : "a number", text);
        return false;
    }
    if ((d->min != 0 || d->max != 0) && (value < d->min || value > d->max)) {
        fprintf(stderr, "bise: %s: expected %.10g to %.10g, found %s\n", name, d->min, d->max,
                text);
        return false;
    }
    if (d->kind == OPT_INT)
        *(int64_t *)d->out = whole;
    else
        *(double *)d->out = value;
    return true;
}

bool options_parse(int argc, char **argv, const struct option_def *defs, size_t n_defs,
                   const char *usage, const char **positional, size_t max_positional,
                   size_t *n_positional, int *exit_code) {
    bool only_positional = false;
    *n_positional = 0;
    *exit_code = EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (only_positional || arg[0] != '-' || !arg[1]) {
            if (*n_positional == max_positional) {
                fprintf(stderr, "bise: unexpected argument \"%s\"\nusage: %s\n", arg, usage);
                return false;
            }
            positional[(*n_positional)++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            only_positional = true;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(argv[0], usage, defs, n_defs);
            *exit_code = EXIT_DONE;
            return false;
        }
        const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
        const size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct option_def *d = NULL;
        for (size_t j = 0; j < n_defs && !d; j++)
            if (option_is(&defs[j], arg, len))
                d = &defs[j];
        if (!d) {
            fprintf(stderr, "bise: unknown option %.*s (see bise %s --help)\n", (int)len, arg,
                    argv[0]);
            return false;
        }
        if (d->kind == OPT_FLAG) {
            if (equals) {
                fprintf(stderr, "bise: %.*s takes no value\n", (int)len, arg);
                return false;
            }
            *(bool *)d->out = true;
            continue;
        }
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)len, arg);
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) {
            fprintf(stderr, "bise: %s needs a value: %s\n", name, d->arg ? d->arg : "VALUE");
            return false;
        }
        if (!option_set(d, name, value))
            return false;
    }
    return true;
}
