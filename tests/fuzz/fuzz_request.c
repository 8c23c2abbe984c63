/* Any bytes as a request's body, for each endpoint: the first byte says which. */
#include "tools/serve/calls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct request_facts facts = {.vocab_size = 32000};
    static struct request r;
    struct fault f = {.status = 0};
    struct tool_text schema = {.len = 0};
    if (!size)
        return 0;
    const enum endpoint endpoint = (enum endpoint)(data[0] % ENDPOINT_COUNT);
    const bool good = request_read(&r, endpoint, (const char *)data + 1, size - 1, &facts, &f);
    if (good == (f.status != 0) || (!good && !f.message[0]))
        abort();
    if (good && r.n_tools)
        calls_schema(&r, &schema);
    for (size_t i = 0; i < r.n_parts; i++)
        if (!r.parts[i].text)
            abort();
    free(schema.text);
    request_free(&r);
    return 0;
}
