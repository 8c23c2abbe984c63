#include "tools/common/user_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool user_file(char path[PATH_MAX], enum user_folder kind, const char *name) {
    static const struct {
        const char *variable, *below_home;
    } folders[] = {
        [USER_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
        [USER_DATA] = {"XDG_DATA_HOME", ".local/share"},
        [USER_STATE] = {"XDG_STATE_HOME", ".local/state"},
    };
    const char *folder = getenv(folders[kind].variable), *home = getenv("HOME");
    int n = -1;
    if (folder && folder[0] == '/') /* relative ones are to be ignored */
        n = snprintf(path, PATH_MAX, "%s/bise/%s", folder, name);
    else if (home && home[0] == '/')
        n = snprintf(path, PATH_MAX, "%s/%s/bise/%s", home, folders[kind].below_home, name);
    return n > 0 && n < PATH_MAX;
}

void make_folders_for(const char *path) {
    char folder[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        mkdir(folder, 0700);
    }
}
