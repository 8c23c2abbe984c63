/* A report of files of bise bench and bise study. */
#ifndef BISE_TOOLS_REPORT_PAGE_H
#define BISE_TOOLS_REPORT_PAGE_H

#include "tools/common/buffer.h"
#include "tools/report/runs.h"

/* One HTML file that needs no other, no request and no script; the runs are in it, to be read
 * again. */
void report_html(struct buffer *b, const struct runs *r);
/* The tables alone. */
void report_md(struct buffer *b, const struct runs *r);
/* The speeds of the first run as a picture, or what lay in the first study's cache; false: there is
 * no such thing. */
bool report_svg(struct buffer *b, const struct runs *r);

/* How many rows have other tokens or logits than a row before them, of any run, that computed the
 * same: the same model file, depth, prompt, gen and sequences. *n_compared: rows that had one. */
size_t report_differing(const struct runs *r, size_t *n_compared);

#endif
