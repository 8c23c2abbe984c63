#include "tools/serve/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fault_set(struct fault *f, int status, const char *param, const char *code, const char *format,
               ...) {
    va_list args;
    *f = (struct fault){.status = status, .code = code};
    if (param)
        snprintf(f->param, sizeof f->param, "%s", param);
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    return false;
}

bool fault_of_status(struct fault *f, const char *param, enum bise_status status,
                     const struct bise_error *err) {
    const bool clients = status == BISE_ERR_ARG || status == BISE_ERR_FORMAT ||
                         status == BISE_ERR_CONTEXT || status == BISE_ERR_UNSUPPORTED;
    const char *text = err->detail[0] ? err->detail : bise_strerror(status);
    const int http = clients ? 400 : status == BISE_ERR_MEMORY ? 503 : 500;
    return param ? fault_set(f, http, param, NULL, "%s: %s", param, text)
                 : fault_set(f, http, NULL, NULL, "%s", text);
}

static const char *type_of(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 500:
        return "server_error";
    case 503:
        return "overloaded_error";
    default:
        return "invalid_request_error";
    }
}

static void put_or_null(struct buffer *out, const char *text) {
    if (text && *text)
        buffer_json(out, text, strlen(text));
    else
        buffer_text(out, "null");
}

void fault_json(const struct fault *f, struct buffer *out) {
    buffer_text(out, "{\"error\":{\"message\":");
    buffer_json(out, f->message, strlen(f->message));
    buffer_print(out, ",\"type\":\"%s\",\"param\":", type_of(f->status));
    put_or_null(out, f->param);
    buffer_text(out, ",\"code\":");
    put_or_null(out, f->code);
    buffer_text(out, "}}");
}
