/* The page's files, compiled in. */
#ifndef BISE_TOOLS_SERVE_PAGE_H
#define BISE_TOOLS_SERVE_PAGE_H

#include "tools/serve/http.h"

struct page_file {
    const char *path, *type;
    const unsigned char *bytes; /* [len] */
    size_t len;
};

/* NULL: there is no such file. */
const struct page_file *page_find(struct http_text path);

#endif
