/* Ctrl-R: searching the history. */
#ifndef BISE_TOOLS_EDIT_EDITOR_SEARCH_H
#define BISE_TOOLS_EDIT_EDITOR_SEARCH_H

#include "tools/edit/editor.h"

void search_begin(struct editor *e);
/* A key while searching. True: it has been dealt with; false: the search is over, what was found is
 * the text, and the key is to be treated as usual. */
bool search_key(struct editor *e, const struct key *key);
/* What stands in the place of prompt and text, in *prompt and *t. */
void search_shown(const struct editor *e, struct buffer *prompt, struct screen_text *t);

#endif
