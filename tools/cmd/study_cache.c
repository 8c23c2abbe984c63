/*
 * bise study cache: the paper's figure 2 from the cache itself. Without spare positions the ring is
 * the smallest there is; token after token is run, and looked at:
 *
 * - which slots of the memory changed: the token's own, position mod ring, in every layer and head,
 *   and no other;
 * - which slots its logits depend on: the step is done again with other values in a slot. Each of
 *   the window's other positions changes them, all the rest together, old and unused, change
 *   nothing (its own position is written by the step itself);
 * - that they have the bits of a cache that forgets nothing, and of the text read in one call;
 * - that no memory is taken on the way.
 */
#include "tools/cmd/study.h"

#include "src/base/error.h"
#include "src/engine/kv.h"
#include "src/engine/session.h"
#include "src/os/mem.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/wrap.h"
#include "tools/common/write_file.h"
#include "tools/report/page.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_WINDOW 4
#define MAX_WINDOW     256
#define NONE           UINT64_MAX

struct step {
    int32_t id;
    uint64_t slot, replaced; /* the slot that changed; the position that was there, NONE */
    uint64_t first_seen;     /* lowest position that the logits depend on */
    size_t n_seen;           /* positions, its own among them */
};

enum check { ONE_SLOT, SEES_WINDOW, SAME_BITS, SAME_READ, SAME_MEMORY, N_CHECKS };
static const char *const check_names[N_CHECKS] = {
    "position i is written to slot i mod ring, in every layer and head, and nothing else changes",
    "a token sees exactly the last `window` positions, itself included",
    "logits have the bits of a cache that forgets nothing",
    "logits have the bits of the text read in one call",
    "the cache is where it was and as large as it was"};

struct cache_study {
    const struct study *s;
    struct bise_session *session, *whole; /* smallest ring; all positions kept */
    struct kv_cache *kv;                  /* of the first */
    struct sequence *seq;
    uint8_t *before, *after; /* [kv.bytes]: the cache around a step */
    float *logits;           /* [vocab] of the step as it is */
    uint64_t *held;          /* [ring] position in each slot, by what was seen to change; NONE */
    struct step *steps;      /* [n] */
    size_t n, vocab;
    uint64_t window;
    char faults[N_CHECKS][160]; /* the first of each, "": none */
};

__attribute__((format(printf, 3, 4))) static void fault(struct cache_study *c, enum check check,
                                                        const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!c->faults[check][0])
        vsnprintf(c->faults[check], sizeof c->faults[check], format, args);
    va_end(args);
}

/* ---- looking at memory ---------------------------------------------------------------------- */

static bool lane_changed(const struct kv_lines *l, const void *before, const void *after,
                         size_t lane) {
    for (size_t i = 0; i < l->lines; i++) {
        const size_t at = kv_line_at(l, lane, i);
        if (memcmp((const uint8_t *)before + at, (const uint8_t *)after + at, l->bytes) != 0)
            return true;
    }
    return false;
}

/* Whether the key or value of a slot differs in two copies of the cache. */
static bool slot_changed(const struct cache_study *c, size_t layer, size_t head, size_t slot) {
    struct kv_cache a = *c->kv, b = *c->kv;
    a.memory = c->before;
    b.memory = c->after;
    const size_t lane = slot % ATTN_GROUP;
    const struct kv_view x = kv_at(&a, layer, head, slot - lane);
    const struct kv_view y = kv_at(&b, layer, head, slot - lane);
    const struct kv_lines keys = kv_key_lines(&a), values = kv_value_lines(&a);
    const struct kv_lines grids = kv_grid_lines(&a);
    if (a.type == BISE_KV_I4 && (lane_changed(&grids, x.key_grids, y.key_grids, lane) ||
                                 lane_changed(&grids, x.value_grids, y.value_grids, lane)))
        return true;
    if (kv_has_scales(a.type) &&
        (x.key_scales[lane] != y.key_scales[lane] || x.value_scales[lane] != y.value_scales[lane]))
        return true;
    return lane_changed(&keys, x.keys, y.keys, lane) ||
           lane_changed(&values, x.values, y.values, lane);
}

/* The slot that the last step changed in all layers and heads; NONE where none did. */
static uint64_t changed_slot(struct cache_study *c, uint64_t pos) {
    const struct kv_cache *const kv = c->kv;
    uint64_t found = NONE;
    for (size_t layer = 0; layer < kv->n_layers; layer++)
        for (size_t head = 0; head < kv->n_heads; head++) {
            size_t n = 0;
            for (size_t slot = 0; slot < kv->ring; slot++) {
                if (!slot_changed(c, layer, head, slot))
                    continue;
                found = found == NONE ? slot : found;
                n++;
                if (slot != pos % kv->ring)
                    fault(c, ONE_SLOT,
                          "position %llu: slot %zu of layer %zu, head %zu changed, not %llu",
                          (unsigned long long)pos, slot, layer, head,
                          (unsigned long long)(pos % kv->ring));
            }
            if (n != 1)
                fault(c, ONE_SLOT, "position %llu: %zu slots of layer %zu, head %zu changed",
                      (unsigned long long)pos, n, layer, head);
        }
    return found;
}

/* Values of about 1000 in a slot of every layer and head. */
static void disturb(struct kv_cache *kv, size_t slot) {
    const uint16_t half = 0x6400;
    const float single = 1024;
    for (size_t layer = 0; layer < kv->n_layers; layer++)
        for (size_t head = 0; head < kv->n_heads; head++) {
            const size_t lane = slot % ATTN_GROUP;
            const struct kv_view v = kv_at(kv, layer, head, slot - lane);
            const struct kv_lines l = kv_value_lines(kv);
            uint8_t *const values = (uint8_t *)(uintptr_t)v.values + kv_line_at(&l, lane, 0);
            const struct kv_lines grids = kv_grid_lines(kv);
            for (size_t b = 0; kv->type == BISE_KV_I4 && b < grids.lines; b++)
                ((uint8_t *)(uintptr_t)v.value_grids)[kv_line_at(&grids, lane, b)] = 0x89;
            for (size_t d = 0; d < kv->head_dim; d++) {
                if (kv->type == BISE_KV_I4)
                    values[4 * (d / 2)] = 0xff;
                else if (kv->type == BISE_KV_I8)
                    values[4 * d] = 64;
                else if (kv->type == BISE_KV_F16)
                    memcpy(values + 2 * d, &half, 2);
                else
                    memcpy(values + 4 * d, &single, 4);
            }
            if (kv_has_scales(kv->type))
                ((float *)(uintptr_t)v.value_scales)[lane] = 16;
        }
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Whether the step of id, done again from the state before it, gives other logits when the slots
 * for which disturbed holds have other values. */
static enum bise_status depends(struct cache_study *c, int32_t id, const struct sequence *before,
                                const bool *disturbed, bool *does, struct bise_error *err) {
    *c->seq = *before;
    memcpy(c->kv->memory, c->before, c->kv->bytes);
    for (size_t slot = 0; slot < c->kv->ring; slot++)
        if (disturbed[slot])
            disturb(c->kv, slot);
    const enum bise_status s = bise_decode(c->session, id, err);
    *does =
        s == BISE_OK && memcmp(bise_logits(c->session), c->logits, c->vocab * sizeof(float)) != 0;
    return s;
}

/* Which positions the logits of a step at pos depend on. */
static enum bise_status find_seen(struct cache_study *c, struct step *step, uint64_t pos,
                                  const struct sequence *before, bool *disturbed,
                                  struct bise_error *err) {
    const size_t ring = c->kv->ring;
    const uint64_t lo = pos >= c->window ? pos - c->window + 1 : 0;
    enum bise_status s;
    bool does;
    for (size_t i = 0; i < ring; i++)
        disturbed[i] = i != step->slot && (c->held[i] == NONE || c->held[i] < lo);
    s = depends(c, step->id, before, disturbed, &does, err);
    const bool looks_beyond = does;
    step->first_seen = pos;
    step->n_seen = 1;
    for (size_t i = 0; i < ring && s == BISE_OK; i++) {
        if (i == step->slot || (!looks_beyond && (c->held[i] == NONE || c->held[i] < lo)))
            continue;
        memset(disturbed, 0, ring * sizeof *disturbed);
        disturbed[i] = true;
        s = depends(c, step->id, before, disturbed, &does, err);
        if (s != BISE_OK || !does)
            continue;
        if (c->held[i] == NONE)
            fault(c, SEES_WINDOW, "position %llu sees slot %zu, which was never written",
                  (unsigned long long)pos, i);
        step->first_seen = c->held[i] < step->first_seen ? c->held[i] : step->first_seen;
        step->n_seen++;
    }
    if (s == BISE_OK && (step->first_seen != lo || step->n_seen != pos - lo + 1))
        fault(c, SEES_WINDOW,
              "position %llu sees %zu positions from %llu on, expected %llu to %llu",
              (unsigned long long)pos, step->n_seen, (unsigned long long)step->first_seen,
              (unsigned long long)lo, (unsigned long long)pos);
    return s;
}

static int32_t likeliest(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

/* The token at pos: of the text, or the likeliest behind the one before. */
static enum bise_status run_step(struct cache_study *c, uint64_t pos, bool *disturbed,
                                 struct bise_error *err) {
    struct step *const step = &c->steps[pos];
    const struct sequence before = *c->seq;
    const size_t bytes = c->kv->bytes;
    uint8_t *const memory = c->kv->memory;
    step->id = pos < c->s->n ? c->s->ids[pos] : likeliest(c->logits, c->vocab);
    memcpy(c->before, c->kv->memory, bytes);
    enum bise_status s = bise_decode(c->session, step->id, err);
    if (s != BISE_OK)
        return s;
    const struct sequence behind = *c->seq;
    memcpy(c->after, c->kv->memory, bytes);
    memcpy(c->logits, bise_logits(c->session), c->vocab * sizeof *c->logits);
    if (c->kv->memory != memory || c->kv->bytes != bytes)
        fault(c, SAME_MEMORY, "position %llu: it is not", (unsigned long long)pos);
    step->slot = changed_slot(c, pos);
    if (step->slot == NONE)
        step->slot = pos % c->kv->ring;
    step->replaced = c->held[step->slot];
    s = find_seen(c, step, pos, &before, disturbed, err);
    c->held[step->slot] = pos;
    *c->seq = behind;
    memcpy(c->kv->memory, c->after, bytes);
    if (s == BISE_OK)
        s = bise_decode(c->whole, step->id, err);
    if (s == BISE_OK && memcmp(bise_logits(c->whole), c->logits, c->vocab * sizeof *c->logits) != 0)
        fault(c, SAME_BITS, "position %llu: other bits", (unsigned long long)pos);
    return s;
}

/* All ids again in one call, with the usual chunk and spare positions. */
static enum bise_status read_at_once(struct cache_study *c, struct bise_error *err) {
    struct bise_engine_params params = c->s->params;
    struct bise_session *session = NULL;
    int32_t *const ids = malloc(c->n * sizeof *ids);
    params.window = (int64_t)c->window;
    for (size_t i = 0; i < c->n && ids; i++)
        ids[i] = c->steps[i].id;
    enum bise_status s =
        ids ? bise_session_open(&session, c->s->e.model, &params, err) : BISE_ERR_MEMORY;
    if (s == BISE_OK) {
        bise_session_stop_on(session, interrupt_word());
        s = bise_prefill(session, ids, c->n, NULL, NULL, err);
    }
    if (s == BISE_OK && memcmp(bise_logits(session), c->logits, c->vocab * sizeof *c->logits) != 0)
        fault(c, SAME_READ, "after %zu tokens: other bits", c->n);
    bise_session_close(&session);
    free(ids);
    return s;
}

/* ---- what is shown -------------------------------------------------------------------------- */

static void token_text(const struct cache_study *c, int32_t id, char *out, size_t cap) {
    size_t len;
    const char *const piece = bise_token_piece(c->s->e.model, id, &len);
    if (!piece || len == 0)
        snprintf(out, cap, "<%d>", id);
    else
        snprintf(out, cap, "%.*s", (int)len, piece);
}

/* Slots after step i: '.' unused, 'o' held, '#' seen by the token, '@' its own. */
static char slot_mark(const struct cache_study *c, size_t i, size_t slot, uint64_t *pos) {
    const size_t ring = c->kv->ring;
    *pos = i - (i + ring - slot) % ring;
    if (i < slot || (i + ring - slot) % ring > i)
        return '.';
    return *pos == i ? '@' : *pos >= c->steps[i].first_seen ? '#' : 'o';
}

static void print_table(const struct cache_study *c) {
    const struct bise_plan *const p = bise_session_plan(c->session);
    print("%s: %zu layers, %zu KV heads, cache in %s\nwindow %llu, ring of %zu slots, %zu bytes\n",
          c->s->e.path, c->kv->n_layers, c->kv->n_heads, bise_kv_name(p->kv),
          (unsigned long long)c->window, c->kv->ring, c->kv->bytes);
    print("slots: @ written by this token, # seen by it, o held and not seen, . unused\n\n");
    print("   pos  token       slot  replaces  sees       slots\n");
    for (size_t i = 0; i < c->n; i++) {
        const struct step *const step = &c->steps[i];
        char token[64], replaces[24] = "-", sees[48];
        uint64_t pos;
        token_text(c, step->id, token, sizeof token);
        if (step->replaced != NONE)
            snprintf(replaces, sizeof replaces, "%llu", (unsigned long long)step->replaced);
        snprintf(sees, sizeof sees, "%llu..%zu", (unsigned long long)step->first_seen, i);
        print("%6zu  %-10.10s  %4llu  %-8s  %-9s  ", i, token, (unsigned long long)step->slot,
              replaces, sees);
        for (size_t slot = 0; slot < c->kv->ring; slot++)
            print("%s%c", slot > 0 && slot % ATTN_GROUP == 0 ? " " : "",
                  slot_mark(c, i, slot, &pos));
        print("\n");
    }
    print("\n");
    for (size_t i = 0; i < N_CHECKS; i++) {
        char line[400];
        size_t col = 0;
        snprintf(line, sizeof line, "%s  %s%s%s\n", c->faults[i][0] ? "NOT SO" : "holds ",
                 check_names[i], c->faults[i][0] ? ": " : "", c->faults[i]);
        wrap_text(stdout, line, wrap_columns(STDOUT_FILENO), 8, &col);
    }
}

static void put_json(const struct cache_study *c, struct buffer *b) {
    study_begin_json(b, "cache", c->s->e.path);
    buffer_print(b,
                 ",\"window\":%llu,\"ring\":%zu,\"kv\":\"%s\",\"layers\":%zu,"
                 "\"kv_heads\":%zu,\"cache_bytes\":%zu,\"steps\":[",
                 (unsigned long long)c->window, c->kv->ring, bise_kv_name(c->kv->type),
                 c->kv->n_layers, c->kv->n_heads, c->kv->bytes);
    for (size_t i = 0; i < c->n; i++) {
        const struct step *const step = &c->steps[i];
        char token[64];
        token_text(c, step->id, token, sizeof token);
        buffer_print(b, "%s{\"position\":%zu,\"id\":%d,\"token\":", i ? "," : "", i, step->id);
        buffer_json(b, token, strlen(token));
        buffer_print(b, ",\"slot\":%llu,\"replaces\":", (unsigned long long)step->slot);
        if (step->replaced == NONE)
            buffer_text(b, "null");
        else
            buffer_print(b, "%llu", (unsigned long long)step->replaced);
        buffer_print(b, ",\"sees_from\":%llu,\"sees\":%zu}", (unsigned long long)step->first_seen,
                     step->n_seen);
    }
    buffer_text(b, "],\"checks\":[");
    for (size_t i = 0; i < N_CHECKS; i++) {
        buffer_print(b, "%s{\"check\":", i ? "," : "");
        buffer_json(b, check_names[i], strlen(check_names[i]));
        buffer_print(b, ",\"holds\":%s,\"fault\":", c->faults[i][0] ? "false" : "true");
        buffer_json(b, c->faults[i], strlen(c->faults[i]));
        buffer_text(b, "}");
    }
    buffer_text(b, "]");
}

/* From the object, as a report draws it. */
static enum bise_status write_svg(const struct cache_study *c, struct bise_error *err) {
    struct buffer json = {0}, svg = {0};
    struct runs runs = {0};
    put_json(c, &json);
    buffer_text(&json, "}\n");
    enum bise_status s = json.failed ? bise_fail(err, BISE_ERR_MEMORY, "no memory for a picture")
                                     : runs_read_text(&runs, json.bytes, json.len, c->s->svg, err);
    if (s == BISE_OK && !report_svg(&svg, &runs))
        s = bise_fail(err, BISE_ERR_ARG, "--svg: %zu tokens by %zu slots are too much to be drawn",
                      c->n, c->kv->ring);
    if (s == BISE_OK)
        s = write_file(c->s->svg, &svg, err);
    runs_free(&runs);
    buffer_free(&svg);
    buffer_free(&json);
    return s;
}

/* ---- the experiment ------------------------------------------------------------------------- */

static enum bise_status open_cache(struct cache_study *c, struct bise_error *err) {
    struct bise_engine_params params = c->s->params;
    params.window = (int64_t)c->window;
    params.chunk = 1;
    params.spare = BISE_SPARE_NONE;
    enum bise_status s = bise_session_open(&c->session, c->s->e.model, &params, err);
    if (s != BISE_OK)
        return s;
    bise_session_stop_on(c->session, interrupt_word());
    c->seq = &bise_session_engine(c->session)->seqs[0];
    c->kv = &c->seq->kv;
    c->n = c->s->steps ? (size_t)c->s->steps : c->kv->ring + c->kv->ring / 2;
    params.spare = (uint32_t)c->n;
    s = bise_session_open(&c->whole, c->s->e.model, &params, err);
    if (s == BISE_OK)
        bise_session_stop_on(c->whole, interrupt_word());
    c->vocab = c->s->e.info->vocab_size;
    c->before = mem_alloc(c->kv->bytes);
    c->after = mem_alloc(c->kv->bytes);
    c->logits = malloc(c->vocab * sizeof *c->logits);
    c->held = malloc(c->kv->ring * sizeof *c->held);
    c->steps = calloc(c->n, sizeof *c->steps);
    for (size_t i = 0; c->held && i < c->kv->ring; i++)
        c->held[i] = NONE;
    return s || (c->before && c->after && c->logits && c->held && c->steps) ? s : BISE_ERR_MEMORY;
}

static void close_cache(struct cache_study *c) {
    if (c->kv) {
        mem_free(c->before, c->kv->bytes);
        mem_free(c->after, c->kv->bytes);
    }
    free(c->logits);
    free(c->held);
    free(c->steps);
    bise_session_close(&c->whole);
    bise_session_close(&c->session);
}

int study_cache(struct study *s) {
    struct cache_study c = {.s = s};
    struct bise_error err = {0};
    struct buffer json = {0};
    bool *disturbed = NULL;
    c.window = s->runtime.window > 0 ? (uint64_t)s->runtime.window : DEFAULT_WINDOW;
    if (s->runtime.window == 0 || c.window > MAX_WINDOW)
        return refuse(EXIT_USAGE, "--window: expected 1 to %d", MAX_WINDOW);
    if (s->n == 0)
        return refuse(EXIT_INPUT, "expected a text of at least one token");
    enum bise_status status = open_cache(&c, &err);
    if (!status && !(disturbed = calloc(c.kv->ring, sizeof *disturbed)))
        status = BISE_ERR_MEMORY;
    for (size_t pos = 0; pos < c.n && !status; pos++)
        status = run_step(&c, pos, disturbed, &err);
    if (!status)
        status = read_at_once(&c, &err);
    if (!status && s->svg)
        status = write_svg(&c, &err);
    int code = status ? report(status, &err) : EXIT_DONE;
    if (!code && s->json) {
        put_json(&c, &json);
        study_end_json(&json);
    } else if (!code) {
        print_table(&c);
    }
    for (size_t i = 0; i < N_CHECKS && !code; i++)
        code = c.faults[i][0] ? EXIT_FAILED : EXIT_DONE;
    free(disturbed);
    close_cache(&c);
    return code;
}
