#include "tools/serve/access.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *why;

/* Whole, and in two pieces cut at every byte: the same. */
static enum http_result head(struct http_head *h, const char *text) {
    size_t n = strlen(text), taken = 0;
    why = "";
    const enum http_result whole = http_read_head(h, text, n, &taken, &why);
    if (whole == HTTP_DONE)
        for (size_t i = 0; i < taken; i++) {
            struct http_head part;
            size_t t;
            cr_assert_eq(http_read_head(&part, text, i, &t, &why), HTTP_MORE, "cut at %zu", i);
        }
    return whole;
}

Test(http, a_request) {
    struct http_head h;
    cr_assert_eq(head(&h, "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a:80\r\n"
                          "content-TYPE:  application/json \r\nContent-Length: 12\r\n\r\n"),
                 HTTP_DONE, "%s", why);
    cr_assert(http_text_is(h.method, "POST") && http_text_is(h.path, "/v1/chat/completions"));
    cr_assert(http_text_is(h.content_type, "application/json") && h.has_query && h.keep_alive);
    cr_assert(h.length == 12 && h.has_length && !h.chunked);
}

Test(http, keep_alive) {
    struct http_head h;
    cr_assert_eq(head(&h, "GET / HTTP/1.0\r\nHost: a\r\n\r\n"), HTTP_DONE);
    cr_assert(!h.keep_alive);
    cr_assert_eq(head(&h, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"), HTTP_DONE);
    cr_assert(!h.keep_alive);
}

Test(http, what_is_refused) {
    static const char *const bad[] = {
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
         "chunked\r\n\r\n"),
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_head h;
        cr_assert_eq(head(&h, bad[i]), HTTP_BAD, "%zu: %s", i, bad[i]);
        cr_assert(why[0]);
    }
}

Test(http, floods) {
    struct http_head h;
    static char text[40000];
    size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n"), taken;
    for (int i = 0; i < 101; i++)
        n += (size_t)sprintf(text + n, "X: y\r\n");
    strcpy(text + n, "\r\n");
    cr_assert_eq(http_read_head(&h, text, n + 2, &taken, &why), HTTP_TOO_LONG);
    n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + n, 'y', 20000);
    cr_assert_eq(http_read_head(&h, text, n + 20000, &taken, &why), HTTP_TOO_LONG);
    memset(text, 'y', 20000);
    cr_assert_eq(http_read_head(&h, text, 20000, &taken, &why), HTTP_TOO_LONG);
    cr_assert_eq(http_read_head(&h, text, 200, &taken, &why), HTTP_MORE);
}

/* A chunked body in pieces of so many bytes. */
static enum http_result chunked(const char *text, size_t step, size_t max, struct buffer *out) {
    struct http_body b;
    const struct http_head h = {.chunked = true};
    enum http_result result = HTTP_MORE;
    buffer_clear(out);
    http_body_begin(&b, &h);
    for (size_t at = 0, taken; at < strlen(text) && result == HTTP_MORE; at += taken) {
        const size_t left = strlen(text) - at;
        result = http_read_body(&b, text + at, left < step ? left : step, &taken, max, out, &why);
        cr_assert(taken || result != HTTP_MORE);
    }
    return result;
}

Test(http, chunks) {
    struct buffer out = {.len = 0};
    static const char *const bad[] = {
        "\r\n",
        "g\r\n",
        "1;x=y\r\na\r\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "2\r\na\r\n0\r\n",
        "1\r\nab\r\n",
        "0\r\nX: y\r\n\r\n",
        "-1\r\n",
        "100000000\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "0x1\r\na\r\n",
    };
    for (size_t step = 1; step < 20; step++) {
        cr_assert_eq(chunked("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", step, 100, &out),
                     HTTP_DONE);
        cr_assert(out.len == 13 && memcmp(out.bytes, "abc0123456789", 13) == 0);
        cr_assert_eq(chunked("3\r\nabc\r\nA\r\n", step, 12, &out), HTTP_TOO_LONG);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
            cr_assert_eq(chunked(bad[i], step, 100, &out), HTTP_BAD, "%s", bad[i]);
    }
    cr_assert_eq(chunked("ffffffff\r\n", 99, 1 << 20, &out), HTTP_TOO_LONG);
    buffer_free(&out);
}

/* ---- who may ask ---- */

static struct http_head head_with(const char *host, const char *origin) {
    struct http_head h = {.host = {host, strlen(host)}};
    if (origin)
        h.origin = (struct http_text){origin, strlen(origin)};
    return h;
}

Test(access, hosts) {
    static const struct own_address own = {"127.0.0.1", 8080};
    static const struct {
        const char *host;
        bool ours;
    } cases[] = {
        {"localhost:8080", true},
        {"LOCALHOST:8080", true},
        {"127.0.0.1:8080", true},
        {"localhost", false},
        {"localhost:80", false},
        {"evil.example:8080", false},
        {"0.0.0.0:8080", false},
        {"[::]:8080", false},
        {"127.0.0.2:8080", false},
        {"localhost.:8080", false},
        {"proxy.example", true},
        {"proxy.example:443", true},
        {"", false},
        {"localhost:", false},
        {"localhost:8080x", false},
        {"[::1]:8080", false},
        {"[::1", false},
        {"localhost:8080:8080", false},
    };
    struct access a = {.hosts = {.items = {"proxy.example"}, .n = 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_head h = head_with(cases[i].host, NULL);
        cr_assert_eq(access_host_is_ours(&a, &h, &own), cases[i].ours, "%s", cases[i].host);
    }
    static const struct own_address six = {"::1", 8080};
    const struct http_head h = head_with("[::1]:8080", NULL);
    cr_assert(access_host_is_ours(&a, &h, &six));
}

Test(access, origins) {
    static const struct {
        const char *origin;
        bool may, cross;
    } cases[] = {
        {NULL, true, false},
        {"http://localhost:8080", true, false},
        {"https://localhost:8080", true, false},
        {"http://localhost", false, false},
        {"null", false, false},
        {"http://evil.example", false, false},
        {"http://friend.example", true, true},
        {"http://localhost:8080.evil.example", false, false},
    };
    struct access a = {.origins = {.items = {"http://friend.example"}, .n = 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool cross;
        const struct http_head h = head_with("localhost:8080", cases[i].origin);
        cr_assert_eq(access_origin_may_ask(&a, &h, &cross), cases[i].may, "%s", cases[i].origin);
        cr_assert_eq(cross, cases[i].cross);
    }
}

static uint32_t key_of(const struct access *a, const char *authorization) {
    struct http_head h = {.length = 0};
    if (authorization)
        h.authorization = (struct http_text){authorization, strlen(authorization)};
    return access_key_of(a, &h);
}

Test(access, keys) {
    struct access a = {.n_keys = 0};
    char one[] = "alpha", two[] = "beta";
    cr_assert_eq(key_of(&a, NULL), 0);
    a.keys[0] = (struct access_key){one, 5};
    a.keys[1] = (struct access_key){two, 4};
    a.n_keys = 2;
    cr_assert_eq(key_of(&a, "Bearer alpha"), 0);
    cr_assert_eq(key_of(&a, "bearer beta"), 1);
    static const char *const bad[] = {NULL,
                                      "",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer alph",
                                      "Bearer alphaa",
                                      "Basic alpha",
                                      "alpha",
                                      "Bearer alphaalpha",
                                      "Bearer  alpha"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(key_of(&a, bad[i]), KEY_NONE, "%s", bad[i] ? bad[i] : "NULL");
}
