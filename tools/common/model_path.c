/* Where the demo model lies when no -m is given. */
#include "tools/common/tools.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *default_model_path(void) {
    static char path[PATH_MAX];
    static const char *const beside_program[] = {"/../models/demo.bise",
                                                 "/../share/bise/demo.bise"};
    const char *from_user = getenv("BISE_MODEL");
    if (from_user && from_user[0])
        return from_user;
    char folder[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (len <= 0)
        return NULL;
    folder[len] = 0;
    char *slash = strrchr(folder, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    for (size_t i = 0; i < sizeof beside_program / sizeof beside_program[0]; i++) {
        const int n = snprintf(path, sizeof path, "%s%s", folder, beside_program[i]);
        if (n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}
