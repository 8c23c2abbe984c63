/* bise report: files of bise bench and bise study as one page. */
#include "src/base/error.h"
#include "tools/common/output.h"
#include "tools/common/tools.h"
#include "tools/common/write_file.h"
#include "tools/report/page.h"

#include <string.h>

int cmd_report(int argc, char **argv) {
    const char *output = NULL, *inputs[RUNS_MAX] = {NULL};
    const struct option_def defs[] = {
        {"-o|--output", OPT_STRING(&output), "FILE",
         "the page: .html, .md (the tables alone) or .svg (a picture of the first file)"},
    };
    struct runs runs = {0};
    struct buffer b = {0};
    struct bise_error err = {0};
    int code;
    if (!options_parse(argc, argv, defs, 1, "bise report FILE.json [FILE ...] -o report.html",
                       inputs, RUNS_MAX, &code))
        return code;
    const char *const ending = output ? strrchr(output, '.') : NULL;
    if (!inputs[0])
        return refuse(
            EXIT_USAGE,
            "expected files of bise bench --format json or bise study --json, found none");
    if (!ending ||
        (strcmp(ending, ".html") != 0 && strcmp(ending, ".md") != 0 && strcmp(ending, ".svg") != 0))
        return refuse(EXIT_USAGE, "-o: expected a file that ends in .html, .md or .svg, found %s",
                      output ? output : "none");
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < RUNS_MAX && inputs[i] && s == BISE_OK; i++)
        s = runs_read(&runs, inputs[i], &err);
    bool ok = true;
    if (s == BISE_OK && strcmp(ending, ".svg") == 0)
        ok = report_svg(&b, &runs);
    else if (s == BISE_OK)
        (strcmp(ending, ".html") == 0 ? report_html : report_md)(&b, &runs);
    if (s == BISE_OK && !ok)
        s = bise_fail(
            &err, BISE_ERR_FORMAT,
            "%s: there is no picture of it: expected a file of bise bench with rows, or of "
            "bise study cache",
            inputs[0]);
    if (s == BISE_OK)
        s = write_file(output, &b, &err);
    code = s == BISE_OK ? EXIT_DONE : report(s, &err);
    buffer_free(&b);
    runs_free(&runs);
    return code;
}
