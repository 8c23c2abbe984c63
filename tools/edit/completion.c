#include "tools/edit/completion.h"

#include "src/base/array.h"
#include "src/base/utf8.h"
#include "tools/common/width.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void completion_add(struct completion *c, const char *item) {
    char *const copy =
        array_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items) ? strdup(item) : NULL;
    if (copy)
        c->items[c->n++] = copy;
}

void completion_offer(struct completion *c, const char *word, const char *item) {
    if (strncmp(item, word, strlen(word)) == 0)
        completion_add(c, item);
}

void completion_free(struct completion *c) {
    for (size_t i = 0; i < c->n; i++)
        free(c->items[i]);
    free(c->items);
    *c = (struct completion){.n = 0};
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t completion_common(struct completion *c) {
    if (!c->n)
        return 0;
    qsort(c->items, c->n, sizeof *c->items, by_text);
    const char *first = c->items[0],
               *last = c->items[c->n - 1]; /* sorted: the two that differ most */
    size_t len = 0;
    while (first[len] && first[len] == last[len])
        len++;
    return len;
}

/* Names that an editor can hold and a terminal show. */
static bool printable(const char *name) {
    const size_t len = strlen(name);
    if (utf8_invalid_at(name, len) < len)
        return false;
    for (size_t at = 0; at < len; at += utf8_char_len(name + at, len - at))
        if (code_is_control(utf8_code_point(name + at, utf8_char_len(name + at, len - at))))
            return false;
    return true;
}

/* Offers one entry of the folder: shown is the word up to its last '/', real the folder's path. */
static void offer_entry(struct completion *c, const char *word, const char *real, size_t n_shown,
                        const char *name) {
    char path[4096], item[4096];
    struct stat st;
    const bool hidden = name[0] == '.' && word[n_shown] != '.';
    if (hidden || !printable(name) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    const int n = snprintf(path, sizeof path, "%s%s", real, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return;
    const bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const int m =
        snprintf(item, sizeof item, "%.*s%s%s", (int)n_shown, word, name, folder ? "/" : "");
    if (m >= 0 && (size_t)m < sizeof item)
        completion_offer(c, word, item);
}

void complete_file(struct completion *c, const char *word) {
    const char *slash = strrchr(word, '/'), *home = getenv("HOME");
    const size_t n_shown = slash ? (size_t)(slash - word) + 1 : 0;
    const bool tilde = strncmp(word, "~/", 2) == 0 && home;
    char real[4096];
    const int n = snprintf(real, sizeof real, "%s%.*s", tilde ? home : "",
                           (int)(n_shown - (tilde ? 1 : 0)), word + (tilde ? 1 : 0));
    if (n < 0 || (size_t)n >= sizeof real)
        return;
    DIR *dir = opendir(n_shown ? real : ".");
    if (!dir)
        return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        offer_entry(c, word, real, n_shown, e->d_name);
    closedir(dir);
}

void complete_on_off(struct completion *c, const char *word) {
    completion_offer(c, word, "on");
    completion_offer(c, word, "off");
}
