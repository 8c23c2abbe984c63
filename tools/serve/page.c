#include "tools/serve/page.h"

#include <string.h>

/* The files as they lie in tools/serve/page, read by the assembler; the Makefile knows them. */
#define FILES "tools/serve/page/"
__asm__(".section .rodata\n"
        ".global page_html, page_html_end, page_css, page_css_end, page_js, page_js_end\n"
        ".hidden page_html, page_html_end, page_css, page_css_end, page_js, page_js_end\n"
        "page_html: .incbin \"" FILES "index.html\"\npage_html_end:\n"
        "page_css: .incbin \"" FILES "page.css\"\npage_css_end:\n"
        "page_js: .incbin \"" FILES "page.js\"\npage_js_end:\n"
        ".previous\n");

extern const unsigned char page_html[], page_html_end[], page_css[], page_css_end[], page_js[],
    page_js_end[];

/* Of two marks of the assembler, which to C are no parts of one array. */
static size_t distance(const unsigned char *from, const unsigned char *to) {
    return (size_t)((uintptr_t)to - (uintptr_t)from);
}

const struct page_file *page_find(struct http_text path) {
    static struct page_file files[] = {
        {"/", "text/html; charset=utf-8", page_html, 0},
        {"/page.css", "text/css; charset=utf-8", page_css, 0},
        {"/page.js", "text/javascript; charset=utf-8", page_js, 0},
    };
    files[0].len = distance(page_html, page_html_end);
    files[1].len = distance(page_css, page_css_end);
    files[2].len = distance(page_js, page_js_end);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strlen(files[i].path) == path.len && memcmp(files[i].path, path.at, path.len) == 0)
            return &files[i];
    return NULL;
}
