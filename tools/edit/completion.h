/* What Tab may put in the place of a word. */
#ifndef BISE_TOOLS_EDIT_COMPLETION_H
#define BISE_TOOLS_EDIT_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>

/* Starts zeroed. Without memory there are fewer items. */
struct completion {
    char **items; /* [n], NUL-terminated; what may stand in the place of the word */
    size_t n, cap;
};

/* Adds what a word (NUL-terminated, may be "") may become. */
typedef void complete_fn(struct completion *c, const char *word);

void completion_add(struct completion *c, const char *item);
/* Adds item if it begins with word. */
void completion_offer(struct completion *c, const char *word, const char *item);
void completion_free(struct completion *c);
/* Sorts the items; length of the beginning they have in common. */
size_t completion_common(struct completion *c);

/* Names of files and folders (those end with '/'); "~/" is the user's home. A complete_fn. */
void complete_file(struct completion *c, const char *word);
/* "on" and "off". A complete_fn. */
void complete_on_off(struct completion *c, const char *word);

#endif
