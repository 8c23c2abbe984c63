/* The user's own defaults: bise/config of the configuration folder, lines NAME = VALUE for options
 * of chat, run and serve, named as on the command line without the dashes. # begins a remark. What
 * the command line says wins. */
#ifndef BISE_TOOLS_COMMON_CONFIG_H
#define BISE_TOOLS_COMMON_CONFIG_H

#include "tools/common/tools.h"

/* Sets those of the options that the file gives and given [n_defs] does not mark. Options of the
 * others of these commands are passed over. has_argument: a model stood alone on the command line.
 * False, said on stderr with the line, where something in the file is wrong. */
bool config_apply(const char *command, const struct option_def *defs, size_t n_defs,
                  const bool *given, bool has_argument);

#endif
