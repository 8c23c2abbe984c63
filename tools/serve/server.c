#include "tools/serve/server.h"

#include "tools/common/sampling.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool server_admit(struct server *s, size_t n) {
    const size_t most = s->n_lanes + (size_t)s->options->queue;
    size_t now = atomic_load(&s->under_way);
    do {
        if (now + n > most)
            return false;
    } while (!atomic_compare_exchange_weak(&s->under_way, &now, now + n));
    return true;
}

void server_leave(struct server *s, size_t n) {
    atomic_fetch_sub(&s->under_way, n);
}

void server_wake(struct server *s) {
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(s->wake, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void server_release(struct server *s, struct call *c) {
    for (uint32_t i = 0; i < c->n_choices; i++)
        author_close(&c->choices[i].author, &s->grammars);
    if (c->queued)
        server_leave(s, c->n_choices);
    server_wake(s);
    call_drop(c);
}

void server_refuse(struct server *s, struct call *c, const struct fault *f) {
    call_fail(c, f);
    server_wake(s);
    call_drop(c);
}

void server_props(const struct server *s, struct buffer *out) {
    static const char *const kv_names[] = {"auto", "i8", "f16", "f32"};
    static const char *const full_names[] = {"stop", "drop", "sink"};
    const struct sampling_options d = SAMPLING_DEFAULTS;
    const struct bise_plan *p = &s->plan;
    buffer_text(out, "{\"version\":\"" BISE_VERSION "\",\"model\":");
    buffer_json(out, s->name, strlen(s->name));
    buffer_print(out,
                 ",\"weights\":\"%s\",\"parameters\":%llu,\"vocabulary\":%u,\"context\":%zu,"
                 "\"window\":%u,\"kv\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"sequences\":%u,"
                 "\"chunk\":%u,\"queue\":%lld,\"memory_bytes\":%llu",
                 s->info->weight_type, (unsigned long long)s->info->n_params, s->info->vocab_size,
                 s->prompter.limit, p->window, kv_names[p->kv], s->isa, p->n_threads, s->n_lanes,
                 p->chunk, (long long)s->options->queue, (unsigned long long)p->total);
    buffer_print(out,
                 ",\"chat_format\":\"%s\",\"tools\":%s,\"moderated\":%s,\"overflow\":\"%s\","
                 "\"keys\":%s",
                 chat_format_name(s->prompter.format),
                 s->prompter.format == CHAT_V3 && chat_tools_known(&s->prompter.tools) ? "true"
                                                                                       : "false",
                 s->judge ? "true" : "false", full_names[s->request_facts.full],
                 s->access.n_keys ? "true" : "false");
    buffer_print(out,
                 ",\"defaults\":{\"temperature\":%g,\"top_p\":%g,\"min_p\":%g,\"top_k\":%lld,"
                 "\"repeat_penalty\":%g,\"repeat_last_n\":%lld}}",
                 d.temp, d.top_p, d.min_p, (long long)d.top_k, d.repeat_penalty,
                 (long long)d.repeat_last);
}
