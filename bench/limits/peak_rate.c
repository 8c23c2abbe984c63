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

/* Median rate of one loop, all threads together. */
static double rate(struct pool *pool, struct peak_job *job) {
    const size_t n_threads = (size_t)pool_threads(pool);
    job->iterations = 1000;
    double start = bench_now();
    const double macs = job->loop(job->op, job->n_sums, job->iterations);
    const double once = bench_now() - start;
    if (macs == 0.0)
        return 0.0;
    job->iterations *= 1 + (size_t)(SAMPLE_S / (once + 1e-9));
    const double all = macs / 1000.0 * (double)job->iterations * (double)n_threads;
    double rates[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        start = bench_now();
        pool_run(pool, run_loop, job, n_threads);
        rates[i] = all / (bench_now() - start);
    }
    return bench_median(rates, SAMPLES);
}

double peak_gmacs(struct pool *pool, enum isa isa, enum peak_op op) {
    static const size_t n_sums[] = {4, 6, 8, 12, 16, 24};
    struct peak_job job = {.loop = loop_of(isa), .op = op};
    double best = 0.0;
    for (size_t i = 0; job.loop != NULL && i < sizeof n_sums / sizeof *n_sums; i++) {
        job.n_sums = n_sums[i];
        const double r = rate(pool, &job);
        best = r > best ? r : best;
    }
    return best * 1e-9;
}
