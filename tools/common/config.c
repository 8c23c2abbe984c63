#include "tools/common/config.h"

#include "tools/common/nearest.h"
#include "tools/common/user_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 1000
#define MAX_LINE  4096

/* Options that the file may name whatever the command, of whichever of them. What belongs to one
 * call alone, a prompt say, is not among them. */
static const char *const names[] = {
    "model",
    "threads",
    "ctx-size",
    "isa",
    "kv",
    "window",
    "chunk",
    "mem",
    "seed",
    "temp",
    "top-k",
    "typical",
    "top-p",
    "min-p",
    "repeat-penalty",
    "frequency-penalty",
    "presence-penalty",
    "repeat-last-n",
    "lookup",
    "n-predict",
    "chat-format",
    "system",
    "guard",
    "moderate",
    "threshold",
    "color",
    "overflow",
    "quiet",
    "verbose",
    "no-save",
    "no-history",
    "host",
    "port",
};
#define N_NAMES (sizeof names / sizeof names[0])

static bool takes_config(const char *command) {
    return strcmp(command, "chat") == 0 || strcmp(command, "run") == 0 ||
           strcmp(command, "serve") == 0;
}

static const struct option_def *find_option(const struct option_def *defs, size_t n,
                                            const char *name) {
    char spelling[64];
    const int len = snprintf(spelling, sizeof spelling, "--%s", name);
    for (size_t i = 0; i < n && len > 0; i++)
        if (option_is(&defs[i], spelling, (size_t)len))
            return &defs[i];
    return NULL;
}

static bool is_known(const char *where, const char *name) {
    struct nearest near = {.word = name, .len = strlen(name)};
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
        nearest_offer(&near, names[i]);
    }
    return complain("%s: no option \"%s\" for this file%s%s%s", where, name,
                    near.best ? "; do you mean " : "", near.best ? near.best : "",
                    near.best ? "?" : "");
}

static bool set_flag(const struct option_def *d, const char *where, const char *name,
                     const char *value) {
    static const char *const words[] = {"on", "yes", "true", "off", "no", "false"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(value, words[i]) == 0) {
            *(bool *)d->out = i < 3;
            return true;
        }
    return complain("%s: %s: expected on or off, found \"%s\"", where, name, value);
}

/* A copy that stays until the program ends, as the command line does: options point into it. NULL
 * without memory. */
static const char *keep_value(const char *value) {
    static char *kept[MAX_LINES];
    static size_t n;
    return n < MAX_LINES ? kept[n++] = strdup(value) : NULL;
}

/* A line without its end. */
static bool apply_line(char *line, const char *where, const struct option_def *defs, size_t n_defs,
                       const bool *given, bool has_argument) {
    char *name = line + strspn(line, " \t"), *equals = strchr(name, '=');
    if (!*name || *name == '#')
        return true;
    if (!equals)
        return complain("%s: expected NAME = VALUE, found \"%s\"", where, name);
    char *end = equals, *value = equals + 1 + strspn(equals + 1, " \t");
    while (end > name && strchr(" \t", end[-1]))
        end--;
    *end = 0;
    const struct option_def *const d = find_option(defs, n_defs, name);
    if (!d && !is_known(where, name))
        return false;
    if (!d || given[d - defs] || (has_argument && strcmp(name, "model") == 0))
        return true;
    if (d->kind == OPTION_FLAG)
        return set_flag(d, where, name, value);
    const char *const kept = keep_value(value);
    char label[PATH_MAX + 128];
    snprintf(label, sizeof label, "%s: %.64s", where, name);
    return kept && option_set(d, label, kept);
}

bool config_apply(const char *command, const struct option_def *defs, size_t n_defs,
                  const bool *given, bool has_argument) {
    char path[PATH_MAX], line[MAX_LINE], where[PATH_MAX + 32];
    if (!takes_config(command) || !user_file(path, USER_CONFIG, "config"))
        return true;
    FILE *f = fopen(path, "r");
    bool good = f || errno == ENOENT || errno == ENOTDIR;
    if (!good)
        complain("%s: %s", path, strerror(errno));
    for (size_t number = 1; f && good && fgets(line, sizeof line, f); number++) {
        size_t n = strlen(line);
        snprintf(where, sizeof where, "%s, line %zu", path, number);
        good = number <= MAX_LINES && (n + 1 < sizeof line || line[n - 1] == '\n');
        if (!good)
            complain("%s: too long", where);
        while (n && strchr(" \t\r\n", line[n - 1]))
            line[--n] = 0;
        good = good && apply_line(line, where, defs, n_defs, given, has_argument);
    }
    if (f && good && ferror(f)) {
        good = false;
        complain("%s: reading failed: %s", path, strerror(errno));
    }
    if (f)
        fclose(f);
    return good;
}
