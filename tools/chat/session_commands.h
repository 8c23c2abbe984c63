/* The commands about a session's file and about what the model sees of a conversation. */
#ifndef BISE_TOOLS_CHAT_SESSION_COMMANDS_H
#define BISE_TOOLS_CHAT_SESSION_COMMANDS_H

#include "tools/chat/commands.h"

command_fn do_save, do_load, do_export, do_context;

#endif
