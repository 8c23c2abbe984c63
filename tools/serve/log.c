#include "tools/serve/log.h"
#include "tools/common/output.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Text with what could steer a terminal, or forge a line, as \xHH. */
static void escape(char *out, size_t cap, const char *text) {
    size_t n = 0;
    for (; *text && n + 5 < cap; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 0x7F || c == '\\' || c == '"')
            n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
        else
            out[n++] = (char)c;
    }
    out[n] = 0;
}

static double since(double from, double to) {
    return from > 0 && to > from ? to - from : 0;
}

bool log_has_room(void) {
    static atomic_ulong n_lost;
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&log, 1, 0) == 0) {
        atomic_fetch_add(&n_lost, 1);
        return false;
    }
    const unsigned long n = atomic_exchange(&n_lost, 0);
    if (n)
        say("%lu lines of the log were not taken, and are lost\n", n);
    return true;
}

void log_request(const struct log_line *l, bool as_json) {
    char path[512], method[64], when[32];
    const time_t now = time(NULL);
    struct tm tm;
    const struct call *c = l->call;
    if (!log_has_room())
        return;
    const double first = c ? since(c->arrived, c->first) : 0;
    escape(path, sizeof path, l->path);
    escape(method, sizeof method, l->method);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    if (as_json) {
        char shown[1200];
        json_escape(shown, sizeof shown, path, strlen(path));
        say("{\"time\":\"%s\",\"peer\":\"%s\",\"method\":\"%s\",\"path\":%s,\"status\":%d,"
            "\"cut\":%s,\"prompt\":%zu,\"cached\":%zu,\"answer\":%zu,\"first_s\":%.3f,"
            "\"seconds\":%.3f}\n",
            when, l->peer, method, shown, l->status, l->was_cut ? "true" : "false",
            c ? c->n_prompt : 0, c ? c->n_cached : 0, c ? c->n_answer : 0, first, l->seconds);
        return;
    }
    say("%s %s %s %s %d", when, l->peer, method, path, l->status);
    if (c && c->n_prompt)
        say(" prompt %zu (%zu cached) answer %zu first %.3f s", c->n_prompt, c->n_cached,
            c->n_answer, first);
    say(" %.3f s%s\n", l->seconds, l->was_cut ? " cut" : "");
}
