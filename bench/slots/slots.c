#include "bench/slots/slots.h"

#include "bench/limits/bandwidth.h"
#include "src/base/error.h"
#include "src/os/mem.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#define ARENA_BYTES  (2 * SLOT_STREAM) /* more than any case takes */
#define SAMPLE_S     1e-3              /* a sample repeats the call for at least this long */
#define CASE_S       0.06              /* of one instruction set: no round begins after that */
#define LEAST        2                 /* rounds */
#define READS        5
#define MEMORY_BYTES 262144.0 /* below that no other cache is read from than the first */

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)
const struct slot slots[] = {
    {SLOT(matmul_f32_q128_i4), matmul_case},
    {SLOT(matmul_f32_q32_i8), matmul_case},
    {SLOT(matmul_f32_f32_f32), matmul_case},
    {SLOT(matmul_f32_f32_bf16), matmul_case},
    {SLOT(quantize_q32), vector_case},
    {SLOT(quantize_q128), vector_case},
    {SLOT(quantize_block), vector_case},
    {SLOT(rmsnorm), vector_case},
    {SLOT(rope), vector_case},
    {SLOT(swiglu), vector_case},
    {SLOT(add), vector_case},
    {SLOT(madd), vector_case},
    {SLOT(scale), vector_case},
    {SLOT(hadamard), vector_case},
    {SLOT(quantize_i4), vector_case},
    {SLOT(unpack_keys_i4), unpack_case},
    {SLOT(unpack_values_i4), unpack_case},
    {SLOT(scores_i8), scores_case},
    {SLOT(scores_f32), scores_case},
    {SLOT(scores_f16), scores_case},
    {SLOT(softmax), softmax_case},
    {SLOT(weigh_i8), weigh_case},
    {SLOT(values_i8), values_case},
    {SLOT(values_f32), values_case},
    {SLOT(values_f16), values_case},
    {0},
};
#undef SLOT

bool same_slot(const struct kernels *a, const struct kernels *b, size_t slot) {
    return memcmp((const char *)a + slot, (const char *)b + slot, sizeof(void (*)(void))) == 0;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- inputs in one piece of memory, used again for each case ------------------------------- */

struct arena {
    struct inputs inputs; /* first: alloc gets this */
    uint8_t *memory;      /* [ARENA_BYTES] */
    size_t used;
};

static void *arena_alloc(struct inputs *in, size_t bytes) {
    struct arena *const a = (struct arena *)in;
    void *const p = a->memory + a->used;
    a->used += (bytes + 63) / 64 * 64;
    assert(a->used <= ARENA_BYTES);
    return p;
}

static void arena_seal(struct inputs *in, const void *p) {
    (void)in;
    (void)p;
}

/* ---- one case ------------------------------------------------------------------------------ */

struct timing {
    struct slot_row *row;
    const struct kernels *k;
    size_t batch, n;
    double samples[SLOTS_ROUNDS];
};

static double sample(const struct slot_case *c, const struct kernels *k, size_t batch) {
    const double start = cpu_seconds();
    for (size_t i = 0; i < batch; i++)
        c->call(c, k);
    return (cpu_seconds() - start) / (double)batch;
}

/* All in turn, round by round; the first call warms up and says how many a sample takes. */
static void time_all(const struct slot_case *c, struct timing *t, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double first = sample(c, t[i].k, 1);
        const double call = first < SAMPLE_S ? sample(c, t[i].k, 1) : first;
        t[i].batch = call >= SAMPLE_S ? 1 : (size_t)(SAMPLE_S / (call + 1e-9)) + 1;
    }
    const double end = cpu_seconds() + CASE_S * (double)n;
    for (size_t round = 0; round < SLOTS_ROUNDS && (round < LEAST || cpu_seconds() < end); round++)
        for (size_t i = 0; i < n; i++)
            t[i].samples[t[i].n++] = sample(c, t[i].k, t[i].batch);
    for (size_t i = 0; i < n; i++) {
        t[i].row->seconds = bench_median(t[i].samples, t[i].n); /* sorts them */
        t[i].row->best = t[i].samples[0];
    }
}

/* Seconds that one thread takes to read so many bytes, the best of some. */
static double read_seconds(struct pool *pool, const void *p, double bytes) {
    double best = 1e9;
    for (int i = 0; i < READS; i++) {
        const double start = cpu_seconds();
        (void)bandwidth_read(pool, p, (size_t)bytes);
        const double took = cpu_seconds() - start;
        best = took < best ? took : best;
    }
    return best;
}

static void measure_peak(struct slots_result *r, struct pool *pool, enum isa isa, enum peak_op op) {
    const double gmacs = peak_gmacs(pool, isa, op, NULL);
    if (gmacs > r->peaks[isa][op])
        r->peaks[isa][op] = gmacs;
}

static bool is_wanted(const struct slots_wish *w, size_t slot, const struct kernels *k) {
    return k->isa == ISA_SCALAR || w->wanted == NULL || w->wanted(w->arg, slot, k);
}

/* Rows of all tables; those with a function of an earlier one get its figures. */
static void measure_case(struct slots_result *r, const struct slots_wish *w, struct arena *a,
                         struct pool *pool, const struct slot *slot, const struct slot_case *c) {
    struct timing timings[ISA_COUNT] = {{0}};
    struct slot_row *const first = &r->rows[r->n];
    size_t n = 0;
    for (size_t i = 0; i < w->n_tables && r->n < SLOTS_MAX_ROWS; i++) {
        const struct kernels *const k = &w->tables[i];
        size_t of = 0;
        while (!same_slot(&w->tables[of], k, c->slot))
            of++;
        if (!is_wanted(w, c->slot, k) || (c->slow && w->tables[of].isa == ISA_SCALAR))
            continue;
        struct slot_row *const row = &r->rows[r->n++];
        *row = (struct slot_row){.slot = slot->name, .isa = k->isa, .of = w->tables[of].isa};
        memcpy(row->shape, c->shape, sizeof row->shape);
        row->bytes = c->bytes;
        row->macs = c->macs;
        row->op = c->op;
        if (of == i)
            timings[n++] = (struct timing){.row = row, .k = k};
    }
    time_all(c, timings, n);
    const double read = read_seconds(pool, a->memory, c->bytes);
    for (struct slot_row *row = first; row < &r->rows[r->n]; row++)
        for (const struct slot_row *of = first; of < row; of++)
            if (of->isa == row->of) {
                row->seconds = of->seconds;
                row->best = of->best;
            }
    for (struct slot_row *row = first; row < &r->rows[r->n]; row++)
        row->read = read;
}

/* ---- all ----------------------------------------------------------------------------------- */

/* The limit is what the best of all rounds gave, and nothing that the kernel itself was faster
 * than. Scalar has none: what it is compiled to is not known. */
static void settle(struct slots_result *r) {
    const struct slot_row *scalar = NULL;
    for (size_t i = 0; i < r->n; i++) {
        struct slot_row *const row = &r->rows[i];
        const double peak = r->peaks[row->of][row->op];
        if (row->of != ISA_SCALAR) {
            const double work = row->op == PEAK_READ ? row->bytes : row->macs;
            row->limit = peak > 0 ? work / peak * 1e-9 : 0;
            if (row->bytes >= MEMORY_BYTES && row->read > row->limit)
                row->limit = row->read;
            row->limit = row->best < row->limit ? row->best : row->limit;
        }
        if (row->isa == ISA_SCALAR)
            scalar = row;
        if (scalar && scalar->slot == row->slot && strcmp(scalar->shape, row->shape) == 0)
            row->over_scalar = scalar->seconds / row->seconds;
    }
}

static bool is_stopped(const struct slots_wish *w) {
    return w->stop && *w->stop;
}

static void measure_slot(struct slots_result *r, const struct slots_wish *w, struct arena *a,
                         struct pool *pool, const struct slot *slot) {
    struct slot_case c;
    if (w->progress)
        w->progress(w->arg, slot->name);
    a->inputs.slot = slot->slot;
    for (size_t i = 0; !is_stopped(w); i++) {
        c = (struct slot_case){.slot = slot->slot};
        a->used = 0;
        a->inputs.state = i + 1;
        if (!slot->make(&a->inputs, i, w->brief, &c))
            break;
        measure_case(r, w, a, pool, slot, &c);
        for (size_t t = 0; t < w->n_tables && i % 4 == 0; t++)
            if (w->tables[t].isa != ISA_SCALAR && is_wanted(w, slot->slot, &w->tables[t]))
                measure_peak(r, pool, w->tables[t].isa, c.op);
    }
}

enum bise_status slots_measure(struct slots_result *r, const struct slots_wish *w,
                               struct bise_error *err) {
    struct arena a = {.inputs = {.alloc = arena_alloc, .seal = arena_seal}};
    struct pool *pool = NULL;
    enum bise_status s = pool_open(&pool, 1, err);
    if (s != BISE_OK)
        return s;
    if ((a.memory = mem_alloc(ARENA_BYTES)) == NULL)
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu bytes", ARENA_BYTES);
    for (const struct slot *slot = slots; slot->name && s == BISE_OK; slot++) {
        bool any = false;
        if (w->part && !strstr(slot->name, w->part))
            continue;
        for (size_t i = 0; i < w->n_tables; i++)
            any = any || w->wanted == NULL || w->wanted(w->arg, slot->slot, &w->tables[i]);
        if (any)
            measure_slot(r, w, &a, pool, slot);
        if (is_stopped(w))
            s = BISE_ERR_INTERRUPTED;
    }
    mem_free(a.memory, ARENA_BYTES);
    pool_close(&pool);
    settle(r);
    return s;
}

double slot_gbs(const struct slot_row *row) {
    return row->bytes / row->seconds * 1e-9;
}

double slot_gmacs(const struct slot_row *row) {
    return row->macs / row->seconds * 1e-9;
}

double slot_share(const struct slot_row *row) {
    return row->limit / row->seconds;
}
