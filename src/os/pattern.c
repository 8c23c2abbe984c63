#include "src/os/pattern.h"

#include <regex.h>
#include <stdlib.h>

struct pattern {
    regex_t compiled;
};

enum bise_status pattern_open(struct pattern **out, const char *text, const char *what,
                              struct bise_error *err) {
    struct pattern *p = malloc(sizeof *p);
    *out = NULL;
    if (!p)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", what);
    const int code = regcomp(&p->compiled, text, REG_EXTENDED | REG_NOSUB);
    if (code) {
        char why[128];
        regerror(code, &p->compiled, why, sizeof why);
        free(p);
        return bise_fail(err, code == REG_ESPACE ? BISE_ERR_MEMORY : BISE_ERR_ARG, "%s: \"%s\": %s",
                         what, text, why);
    }
    *out = p;
    return BISE_OK;
}

void pattern_close(struct pattern **p) {
    if (!p || !*p)
        return;
    regfree(&(*p)->compiled);
    free(*p);
    *p = NULL;
}

bool pattern_matches(const struct pattern *p, const char *text) {
    return regexec(&p->compiled, text, 0, NULL, 0) == 0;
}
