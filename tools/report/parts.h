/* Parts of a report: tables in both forms, plots. */
#ifndef BISE_TOOLS_REPORT_PARTS_H
#define BISE_TOOLS_REPORT_PARTS_H

#include "tools/report/page.h"

/* ---- words ------------------------------------------------------------------------------- */

/* Machine and build, for both forms. */
void part_sentence(struct buffer *b, const struct run_facts *r);
/* What is asked for where text is empty. */
const char *part_known(const char *text, const char *instead);
/* "avx2, 2 threads, 1 at once, after 64", or with the prompt where decode is not asked for. */
void part_name(char out[96], const struct run_row *row, bool decode);
/* "~", "t", "s", "!" and what else is to be said of a row; of the last call. */
const char *part_marks(const struct run_row *row, const struct run_speed *s);
const struct run_speed *part_speed(const struct run_row *row, bool decode);
/* The same prompt is read for each number of sequences, and shown once. */
bool part_shown_before(const struct run *r, size_t i, bool decode);

/* The fastest row of a model (decode: of one sequence); NULL: there is none. */
const struct run_row *part_fastest(const struct run *r, size_t model, bool decode);

/* ---- tables ------------------------------------------------------------------------------ */

/* Begins a table in either form. */
void part_head(struct buffer *b, const char *const *names, size_t n, bool html);
void part_end(struct buffer *b, bool html);
/* Cells of a row: the first, the ones behind it, the end of the last. Text is escaped. */
void part_first(struct buffer *b, const char *text, bool html);
__attribute__((format(printf, 3, 4))) void part_cell(struct buffer *b, bool html,
                                                     const char *format, ...);
void part_last(struct buffer *b, bool html);

void part_speeds(struct buffer *b, const struct run *r, bool decode, bool html);
void part_memory(struct buffer *b, const struct run *r, bool html);
/* Whether a model's file says what was measured when it was made. */
bool part_has_quality(const struct run *r);
void part_quality(struct buffer *b, const struct run *r, bool html);
/* Names of the instruction sets of a run's kernels [RUN_MAX_ISAS]; how many. */
size_t part_isas(const struct run *r, const char **isas);
bool part_same_kernel(const struct run_kernel *a, const struct run_kernel *b);
void part_kernels(struct buffer *b, const struct run *r, bool html);
void part_hashes(struct buffer *b, const struct runs *r, bool html);

/* ---- plots: nothing where there is nothing to show ------------------------------------------ */

void part_bars(struct buffer *b, const struct run *r, bool decode, bool alone);
void part_roofline(struct buffer *b, const struct run *r);
/* Decode by depth, or by sequences, where rows differ in it. */
void part_curve(struct buffer *b, const struct run *r, bool by_depth);
void part_machine(struct buffer *b, const struct run *r, bool clock);
void part_quality_plot(struct buffer *b, const struct run *r);
void part_heat(struct buffer *b, const struct run *r);

/* ---- studies ----------------------------------------------------------------------------- */

/* Heading, tables and (html) plots. */
void part_study(struct buffer *b, const struct study_file *s, bool html);
/* What lay in a cache, as a picture; false: this is no such study, or too large. */
bool part_study_svg(struct buffer *b, const struct study_file *s);

#endif
