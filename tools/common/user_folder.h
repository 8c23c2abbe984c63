/* Where a user's files lie, by the XDG base directory rules. */
#ifndef BISE_TOOLS_COMMON_USER_FOLDER_H
#define BISE_TOOLS_COMMON_USER_FOLDER_H

#include <limits.h>
#include <stdbool.h>

enum user_folder {
    USER_CONFIG, /* XDG_CONFIG_HOME, ~/.config */
    USER_DATA,   /* XDG_DATA_HOME, ~/.local/share */
    USER_STATE   /* XDG_STATE_HOME, ~/.local/state */
};

/* bise/NAME in the folder of this kind. False: no home is known, or the path is too long. */
bool user_file(char path[PATH_MAX], enum user_folder kind, const char *name);
/* Makes the folders that lead to path, readable by their owner alone. */
void make_folders_for(const char *path);

#endif
