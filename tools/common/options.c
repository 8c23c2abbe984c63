#include "tools/common/config.h"
#include "tools/common/nearest.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"
#include "tools/common/wrap.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_COLUMN 30

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
    size_t col = 0;
    wrap_text(stdout, "usage: ", 0, 0, &col);
    wrap_text(stdout, usage, wrap_columns(STDOUT_FILENO), 4, &col);
    print("\n");
    if (n_defs)
        print("\noptions:\n");
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
        print_item(stdout, left, HELP_COLUMN, defs[i].help);
    }
    if (examples)
        print("\nexamples:\n");
    for (; examples && *examples; examples++)
        print("  %s\n", *examples);
}

static bool append_value(struct option_list *list, const char *name, const char *text) {
    if (list->n == OPTION_LIST_MAX)
        return complain("%s: expected at most %d of them", name, OPTION_LIST_MAX);
    list->items[list->n++] = text;
    return true;
}

bool option_set(const struct option_def *d, const char *name, const char *text) {
    char *end = NULL;
    int64_t whole = 0;
    double value = 0;
    errno = 0;
    switch (d->kind) {
    case OPTION_STRING:
        *(const char **)d->out = text;
        return true;
    case OPTION_LIST:
        return append_value(d->out, name, text);
    case OPTION_INT:
        whole = strtoll(text, &end, 10);
        value = (double)whole;
        break;
    case OPTION_FLOAT:
        value = strtod(text, &end);
        if (!isfinite(value))
            errno = ERANGE;
        break;
    case OPTION_FLAG:
        return false;
    }
    const bool ranged = d->min != 0 || d->max != 0;
    if (end == text || *end || (errno && !(ranged && errno == ERANGE)))
        return complain("%s: expected %s, found \"%s\"", name,
                        d->kind == OPTION_INT ? "a whole number" : "a number", text);
    if (ranged && (errno || value < d->min || value > d->max))
        return d->kind == OPTION_INT
                   ? complain("%s: expected %.0f to %.0f, found %s", name, d->min, d->max, text)
                   : complain("%s: expected %.10g to %.10g, found %s", name, d->min, d->max, text);
    if (d->kind == OPTION_INT)
        *(int64_t *)d->out = whole;
    else
        *(double *)d->out = value;
    return true;
}

/* An option that there is not, and one that may have been meant. */
static void explain_unknown(const struct option_def *defs, size_t n_defs, const char *command,
                            const char *arg, size_t len) {
    struct nearest near = {.word = arg, .len = len};
    char spellings[256][32];
    size_t n = 0;
    for (size_t i = 0; i < n_defs; i++)
        for (const char *name = defs[i].name; *name && n < 256;) {
            const size_t n_name = strcspn(name, "|");
            snprintf(spellings[n], sizeof spellings[n], "%.*s", (int)n_name, name);
            if (n_name > 2) /* one letter is like any other */
                nearest_offer(&near, spellings[n]);
            n++;
            name += n_name + (name[n_name] == '|');
        }
    nearest_offer(&near, "--help");
    if (near.best)
        complain("unknown option %.*s; do you mean %s? (bise %s --help lists them)", (int)len, arg,
                 near.best, command);
    else
        complain("unknown option %.*s (see bise %s --help)", (int)len, arg, command);
}

static bool takes_prompt(const struct option_def *defs, size_t n_defs) {
    while (n_defs && strcmp(defs[n_defs - 1].name, "-p|--prompt") != 0)
        n_defs--;
    return n_defs && strcmp(defs[n_defs - 1].arg, "TEXT") == 0;
}

bool options_parse(int argc, char **argv, const struct option_def *defs, size_t n_defs,
                   const char *usage, const char **positional, size_t max_positional,
                   int *exit_code) {
    bool only_positional = false, given[OPTION_DEFS_MAX] = {false};
    assert(n_defs <= OPTION_DEFS_MAX);
    size_t n_positional = 0;
    *exit_code = EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (only_positional || arg[0] != '-' || !arg[1]) {
            if (n_positional == max_positional) {
                complain("unexpected argument \"%s\"%s", arg,
                         takes_prompt(defs, n_defs) ? "; a text is given by -p" : "");
                put_text(stderr, "usage: ");
                put_text(stderr, usage);
                put_text(stderr, "\n");
                return false;
            }
            positional[n_positional++] = arg;
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
            explain_unknown(defs, n_defs, argv[0], arg, len);
            return false;
        }
        given[d - defs] = true;
        if (d->kind == OPTION_FLAG) {
            if (equals)
                return complain("%.*s takes no value", (int)len, arg);
            *(bool *)d->out = true;
            continue;
        }
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)len, arg);
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value)
            return complain("%s needs a value: %s", name, d->arg ? d->arg : "VALUE");
        if (!option_set(d, name, value))
            return false;
    }
    return config_apply(argv[0], defs, n_defs, given, n_positional > 0);
}
