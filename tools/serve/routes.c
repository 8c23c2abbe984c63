#include "tools/serve/routes.h"

#include "src/os/mem.h"
#include "tools/serve/page.h"

#include <string.h>

static bool path_is(const struct http_head *h, const char *path) {
    return strlen(path) == h->path.len && memcmp(h->path.at, path, h->path.len) == 0;
}

static bool method_is(const struct http_head *h, const char *method) {
    return strlen(method) == h->method.len && memcmp(h->method.at, method, h->method.len) == 0;
}

static void deny(struct route *r, int status, const char *code, const char *message) {
    r->kind = ROUTE_REFUSE;
    r->status = status;
    fault_set(&r->fault, status, NULL, code, "%s", message);
}

/* ---- GET ---- */

/* HEAD is the same without the body, which the connection leaves out. */
static bool is_get(const struct http_head *h) {
    return method_is(h, "GET") || method_is(h, "HEAD");
}

static bool is_loading(const struct server *s) {
    return !atomic_load(&s->is_ready);
}

static void get_health(struct server *s, struct route *r) {
    const bool loading = is_loading(s);
    const bool busy = !loading && atomic_load(&s->under_way) >= s->n_lanes;
    r->status = loading ? 503 : 200;
    buffer_print(&r->body, "{\"status\":\"%s\"}", loading ? "loading" : busy ? "busy" : "ok");
}

static void put_model(const struct server *s, struct buffer *b) {
    buffer_text(b, "{\"id\":");
    buffer_json(b, s->name, strlen(s->name));
    buffer_print(b,
                 ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"bise\",\"context\":%zu,"
                 "\"window\":%u}",
                 (long long)s->started, s->prompter.limit, s->plan.window);
}

static void get_models(const struct server *s, struct route *r) {
    buffer_text(&r->body, "{\"object\":\"list\",\"data\":[");
    put_model(s, &r->body);
    buffer_text(&r->body, "]}");
}

static void get_metrics(const struct server *s, struct route *r) {
    r->type = "text/plain; version=0.0.4";
    metrics_print(&s->metrics, &r->body);
}

/* A path under /v1/models/: our model's name, or none that we know. */
static void get_model(const struct server *s, const struct http_head *h, struct route *r) {
    const size_t skip = strlen("/v1/models/");
    if (h->path.len - skip == strlen(s->name) &&
        memcmp(h->path.at + skip, s->name, h->path.len - skip) == 0)
        put_model(s, &r->body);
    else
        deny(r, 404, "model_not_found", "there is no model of this name; GET /v1/models names it");
}

static const char *const gets[] = {"/health", "/v1/models", "/metrics", "/props"};

static void get(struct server *s, const struct http_head *h, struct route *r) {
    if (path_is(h, "/health"))
        get_health(s, r);
    else if (is_loading(s))
        deny(r, 503, "loading", "the model is being loaded");
    else if (path_is(h, "/v1/models"))
        get_models(s, r);
    else if (path_is(h, "/metrics"))
        get_metrics(s, r);
    else if (path_is(h, "/props"))
        server_props(s, &r->body);
    else
        get_model(s, h, r);
}

static bool is_get_path(const struct http_head *h) {
    const char models[] = "/v1/models/";
    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++)
        if (path_is(h, gets[i]))
            return true;
    return h->path.len > sizeof models - 1 && memcmp(h->path.at, models, sizeof models - 1) == 0;
}

/* ---- POST ---- */

static const struct {
    const char *path;
    enum endpoint endpoint;
} posts[] = {
    {"/v1/chat/completions", ENDPOINT_CHAT},   {"/v1/completions", ENDPOINT_COMPLETIONS},
    {"/v1/moderations", ENDPOINT_MODERATIONS}, {"/tokenize", ENDPOINT_TOKENIZE},
    {"/detokenize", ENDPOINT_DETOKENIZE},
};
#define N_POSTS (sizeof posts / sizeof posts[0])

static size_t find_post(const struct http_head *h) {
    size_t i = 0;
    while (i < N_POSTS && !path_is(h, posts[i].path))
        i++;
    return i;
}

/* application/json, perhaps with a charset, which can be UTF-8 alone. */
static bool is_json(const struct http_head *h) {
    static const char type[] = "application/json";
    struct http_text t = h->content_type;
    if (!t.at || t.len < sizeof type - 1)
        return false;
    if (!http_text_is((struct http_text){t.at, sizeof type - 1}, type))
        return false;
    t.at += sizeof type - 1;
    t.len -= sizeof type - 1;
    while (t.len && (*t.at == ' ' || *t.at == ';')) {
        t.at++;
        t.len--;
    }
    return !t.len || http_text_is(t, "charset=utf-8") || http_text_is(t, "charset=\"utf-8\"");
}

static void post(struct server *s, const struct http_head *h, size_t i, struct route *r) {
    if (is_loading(s)) {
        deny(r, 503, "loading", "the model is being loaded");
    } else if (!is_json(h)) {
        deny(r, 415, NULL, "Content-Type: expected application/json");
    } else if (posts[i].endpoint == ENDPOINT_MODERATIONS && !s->judge) {
        deny(r, 404, NULL, "/v1/moderations needs a server that was started with --moderate");
    } else if (h->length > SERVER_MAX_BODY) {
        deny(r, 413, NULL, "the body: expected at most 8 MB");
    } else {
        r->kind = ROUTE_BODY;
        r->endpoint = posts[i].endpoint;
    }
}

/* ---- all ---- */

static void preflight(struct route *r) {
    if (!r->is_cross) {
        deny(r, 403, NULL, "Origin: other pages may not ask here (--allow-origin lets one)");
        return;
    }
    r->status = 204;
    r->type = NULL;
}

static void wrong_method(struct route *r, const char *allow) {
    deny(r, 405, NULL, "this path has another method");
    r->allow = allow;
}

void route_request(struct server *s, const struct http_head *h, const struct own_address *own,
                   struct route *r) {
    const struct page_file *file = page_find(h->path);
    const size_t i = find_post(h);
    *r = (struct route){.kind = ROUTE_ANSWER, .status = 200, .type = "application/json"};
    if (!access_host_is_ours(&s->access, h, own)) {
        deny(r, 403, "host",
             "Host: this server does not answer by that name (--allow-host NAME "
             "lets it)");
    } else if (!access_origin_may_ask(&s->access, h, &r->is_cross)) {
        deny(r, 403, "origin", "Origin: other pages may not ask here (--allow-origin lets one)");
    } else if (method_is(h, "OPTIONS")) {
        preflight(r);
    } else if (file) {
        r->type = file->type;
        r->is_page = true;
        if (is_get(h))
            buffer_put(&r->body, (const char *)file->bytes, file->len);
        else
            wrong_method(r, "GET, HEAD");
    } else if (path_is(h, "/favicon.ico")) {
        r->status = 204; /* there is none, and no browser need wonder */
        r->type = NULL;
    } else if (!is_get_path(h) && i == N_POSTS) {
        deny(r, 404, NULL, "there is nothing at this path");
    } else if (!path_is(h, "/health") && (r->key = access_key_of(&s->access, h)) == KEY_NONE) {
        deny(r, 401, "invalid_api_key",
             "Authorization: expected \"Bearer\" and a key that is "
             "known here");
    } else if (i < N_POSTS) {
        if (method_is(h, "POST"))
            post(s, h, i, r);
        else
            wrong_method(r, "POST");
    } else if (is_get(h)) {
        get(s, h, r);
    } else {
        wrong_method(r, "GET, HEAD");
    }
}
