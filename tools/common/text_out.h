/* Text on its way to the reader. */
#ifndef BISE_TOOLS_COMMON_TEXT_OUT_H
#define BISE_TOOLS_COMMON_TEXT_OUT_H

#include "src/base/utf8.h"
#include "src/text/stop.h"
#include "tools/common/buffer.h"
#include "tools/common/wrap.h"

/* Text on its way to a file descriptor: stop strings end it, characters are never cut. */
struct text_out {
    int fd;
    bool strip_space;  /* one space at the beginning is left out */
    struct stop *stop; /* NULL: none */
    struct utf8_stream utf8;
    size_t n_bytes;      /* that came in */
    size_t n_shown;      /* of these, before a stop string or its possible beginning */
    char last;           /* last byte written, 0 before the first */
    struct buffer *hold; /* where bytes go instead of fd; NULL: fd */
    bool terminal;       /* fd is one: control characters are written as ^X */
    struct wrap wrap;    /* where it is one: words are not cut */
    bool failed;         /* the reader has gone, or the disk is full */
};

/* Begins a new text: strip_space, stop and fd are kept. */
void text_out_begin(struct text_out *out);
void text_out_put(struct text_out *out, const char *bytes, size_t n);
void text_out_end(struct text_out *out);
/* Writes what was held back, and empties hold. */
void text_out_release(struct text_out *out);

#endif
