#include "tools/common/constraint.h"

#include "src/base/error.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"

#include <stdlib.h>
#include <string.h>

#define CONSTRAINT_MAX_BYTES                                                                       \
    ((size_t)16 << 20) /* of a file; what is compiled has limits of its own */

int constraint_open(struct constraint *c, const struct runtime *e,
                    const struct constraint_source *from) {
    const char *const schema = from->json_schema;
    const char *const file = schema && schema[0] == '@' ? schema + 1 : from->grammar_file;
    const char *text = file ? NULL : schema ? schema : from->grammar;
    struct bise_error err = {0};
    char *from_file = NULL;
    size_t len = text ? strlen(text) : 0;
    if (!text && !file)
        return EXIT_DONE;
    if ((from->grammar != NULL) + (from->grammar_file != NULL) + (schema != NULL) > 1)
        return refuse(EXIT_USAGE, "expected one of --grammar, --grammar-file and --json-schema");
    const int code = file ? read_text(file, CONSTRAINT_MAX_BYTES, &from_file, &len) : EXIT_DONE;
    if (code)
        return code;
    text = file ? from_file : text;
    enum bise_status status = schema
                                  ? bise_grammar_open_schema(&c->grammar, e->model, text, len, &err)
                                  : bise_grammar_open(&c->grammar, e->model, text, len, &err);
    free(from_file);
    const char *note = status || !schema ? NULL : bise_grammar_note(c->grammar);
    if (note && from->strict)
        status = bise_fail(&err, BISE_ERR_ARG,
                           "json schema: --strict-schema, and these keywords or formats are not "
                           "applied: %s",
                           note);
    else if (note)
        complain("json schema: not applied: %s", note);
    c->allowed = status ? NULL : malloc(e->info->vocab_size);
    if (!status && !c->allowed)
        status = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the grammar");
    return status ? report(status, &err) : EXIT_DONE;
}

void constraint_close(struct constraint *c) {
    bise_grammar_close(&c->grammar);
    free(c->allowed);
    c->allowed = NULL;
}
