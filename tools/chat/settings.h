/* The commands that change how the chat goes on: sampling, files read in, another model. */
#ifndef BISE_TOOLS_CHAT_SETTINGS_H
#define BISE_TOOLS_CHAT_SETTINGS_H

#include "tools/chat/commands.h"

command_fn do_set, do_read, do_model;

/* Names that /set knows. */
complete_fn complete_setting;

#endif
