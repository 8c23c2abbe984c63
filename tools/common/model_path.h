/* Where models lie: the folder they have as their home, names for those in it, the demo model; and
 * what a path that is no model is. */
#ifndef BISE_TOOLS_COMMON_MODEL_PATH_H
#define BISE_TOOLS_COMMON_MODEL_PATH_H

#include "tools/common/tools.h"

#include <limits.h>

/* The folder of models: BISE_MODELS, or bise/models in XDG_DATA_HOME or in ~/.local/share. False:
 * none is known. */
bool models_home(char folder[PATH_MAX]);
/* The file of this name in it: NAME.bise, the ending only where NAME does not have it. False: there
 * is no home, or name has a slash in it or is too long. */
bool models_home_file(char path[PATH_MAX], const char *name);
/* Makes the folder, and those above it, readable by their owner alone. */
bool models_home_make(void);

/* The model that is used where none is given: BISE_MODEL, models/demo.bise beside the program's
 * source tree or in the installed data folder. NULL if there is none. */
const char *default_model_path(void);
/* Whether this is the toy that comes with bise, not a model somebody has chosen. */
bool model_is_demo(const char *path);

/* Which file somebody means: a file of this name, else NAME.bise in the models' home; NULL: the
 * default. Valid until the next call. Looks whether that is a .bise file; if it is not, says what
 * it is, and what to do: NULL then, and *code. On a terminal, a checkpoint is made into a file if
 * whoever sits there wants that. */
const char *model_path(const char *asked, int *code);

/* A checkpoint or model to be read as a source: asked itself, or, where there is nothing at that
 * path, the file of this name in the models' home, if it is there, in path. */
const char *model_or_source(char path[PATH_MAX], const char *asked);

/* As model_path, of a model given by -m or as the argument: one of them may be NULL. */
const char *model_given(const char *by_option, const char *argument, int *code);

/* Runs bise quantize SOURCE -o NAME --type TYPE, by this program. Its exit code; that it cannot be
 * run is said on stderr. */
int quantize_to(const char *source, const char *name, const char *type);

/* Notes that a model from the home is used now; bise list shows it. */
void model_path_used(const char *path);

#endif
