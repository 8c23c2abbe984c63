/* What is wrong with a request, as its answer says it. */
#ifndef BISE_TOOLS_SERVE_FAULT_H
#define BISE_TOOLS_SERVE_FAULT_H

#include "src/bise.h"
#include "tools/common/buffer.h"

struct fault {
    int status;       /* of HTTP; 0: nothing is wrong */
    char param[96];   /* the field; "": none */
    const char *code; /* NULL: none */
    char message[768];
};

/* Sets *f and returns false. param and code may be NULL. */
__attribute__((format(printf, 5, 6))) bool fault_set(struct fault *f, int status, const char *param,
                                                     const char *code, const char *format, ...);
/* The same for a status of the library: ARG and FORMAT are the client's. */
bool fault_of_status(struct fault *f, const char *param, enum bise_status status,
                     const struct bise_error *err);
/* {"error": {...}} */
void fault_json(const struct fault *f, struct buffer *out);

#endif
