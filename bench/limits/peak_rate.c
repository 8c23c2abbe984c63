#include "bench/limits/bandwidth.h"
#include "bench/limits/peak.h"

static peak_loop *loop_of(enum isa isa) {
    switch (isa) {
#ifdef HAVE_KERNELS_sse41
    case ISA_SSE41:
        return peak_loop_sse41;
#endif
#ifdef HAVE_KERNELS_avx2
    case ISA_AVX2:
        return peak_loop_avx2;
#endif
#ifdef HAVE_KERNELS_avxvnni
    case ISA_AVXVNNI:
        return peak_loop_avxvnni;
#endif
#ifdef HAVE_KERNELS_avx512
    case ISA_AVX512:
        return peak_loop_avx512;
#endif
#ifdef HAVE_KERNELS_neon
    case ISA_NEON:
        return peak_loop_neon;
#endif
#ifdef HAVE_KERNELS_neon_dotprod
    case ISA_NEON_DOTPROD:
        return peak_loop_neon_dotprod;
#endif
#ifdef HAVE_KERNELS_neon_i8mm
    case ISA_NEON_I8MM:
        return peak_loop_neon_i8mm;
#endif
    default:
        return NULL;
    }
}

struct peak_job {
    peak_loop *loop;
    enum peak_op op;
    size_t n_sums, iterations;
};

static void run_loop(void *arg, size_t task, int thread) {
    const struct peak_job *job = arg;
    (void)task;
    (void)thread;
    (void)job->loop(job->op, job->n_sums, job->iterations);
}

#define SAMPLES  5
#define SAMPLE_S 2e-3

/* Multiplications of one run of the loop by all threads, which takes about SAMPLE_S; 0: there is no
 * such loop. */
static double prepare(struct pool *pool, struct peak_job *job) {
    job->iterations = 1000;
    const double start = bench_now();
    const double macs = job->loop ? job->loop(job->op, job->n_sums, job->iterations) : 0;
    const double once = bench_now() - start;
    job->iterations *= 1 + (size_t)(SAMPLE_S / (once + 1e-9));
    return macs / 1000.0 * (double)job->iterations * (double)pool_threads(pool);
}

static double run_once(struct pool *pool, struct peak_job *job) {
    const double start = bench_now();
    pool_run(pool, run_loop, job, (size_t)pool_threads(pool));
    return bench_now() - start;
}

/* Median rate of one loop. */
static double rate(struct pool *pool, struct peak_job *job) {
    const double macs = prepare(pool, job);
    double rates[SAMPLES];
    for (size_t i = 0; i < SAMPLES && macs > 0; i++)
        rates[i] = macs / run_once(pool, job);
    return macs > 0 ? bench_median(rates, SAMPLES) : 0;
}

double peak_gmacs(struct pool *pool, enum isa isa, enum peak_op op, size_t *n_sums) {
    static const size_t all[] = {4, 6, 8, 12, 16, 24};
    struct peak_job job = {.loop = loop_of(isa), .op = op};
    double best = 0.0;
    for (size_t i = 0; job.loop != NULL && i < sizeof all / sizeof *all; i++) {
        job.n_sums = all[i];
        const double r = rate(pool, &job);
        if (r > best && n_sums)
            *n_sums = all[i];
        best = r > best ? r : best;
    }
    return best * 1e-9;
}

double peak_average(struct pool *pool, enum isa isa, enum peak_op op, size_t n_sums, double seconds,
                    double *best) {
    struct peak_job job = {.loop = loop_of(isa), .op = op, .n_sums = n_sums};
    const double macs = prepare(pool, &job);
    double all = 0, took = 0;
    for (double once; macs > 0 && (took < seconds || all == 0); took += once) {
        once = run_once(pool, &job);
        all += macs;
        if (macs / once * 1e-9 > *best)
            *best = macs / once * 1e-9;
    }
    return all > 0 ? all / took * 1e-9 : 0;
}
