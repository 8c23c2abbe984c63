/*
 * All working memory of an engine, laid out once. n = columns of a pass, c = columns of the
 * experts' matrices (n, or n * experts used), s = sequences. Rows are padded with zeros to a
 * multiple of TILE_K where they feed a matrix, to PANEL_ROWS where they come out of one.
 */
#ifndef BISE_SRC_ENGINE_BUFFERS_H
#define BISE_SRC_ENGINE_BUFFERS_H

#include "src/engine/pass.h"
#include "src/model/model.h"

#define TILE_ROWS 128 /* rows of a matrix that one task computes at most */

/* Forms in which the matrices of a file want their input. */
enum { FORM_F32 = 1, FORM_Q32 = 2, FORM_Q128 = 4 };

/* Input vectors of a matrix, in the forms some matrix wants (NULL where none does). */
struct act {
    size_t k;          /* length of a vector, padded to TILE_K */
    float *f;          /* [n][k] */
    int8_t *q32;       /* [n][k], */
    float *d32;        /* [n][k / 32], */
    int32_t *sum32;    /* [n][k / 32]: act_q8 */
    int8_t *q128;      /* [k / 64][ld128][64], */
    size_t ld128;      /* act_stride of the vectors there are in this pass, */
    float *d128;       /* [n][k / 128], */
    int32_t *start128; /* [n][k / 32]: act_q128 */
};

/* From one 64 k of q128 to the next, of n vectors. Odd: it spreads over the sets of a cache. */
static inline size_t act_stride(size_t n) {
    return n | 1;
}

/* Row stride of scores: an odd number of lines, so that rows do not fall on the same cache sets. */
#define SCORES_LD (ATTN_BLOCK + 16)
#define CODES_LD  (ATTN_BLOCK / ATTN_GROUP + 4) /* the same of codes, in groups */

/* What one thread needs for itself. */
struct thread_scratch {
    void *matmul;         /* KERNEL_SCRATCH_BYTES */
    float *tile[2], *acc; /* [c][TILE_ROWS] */
    float *q, *out;       /* [ATTN_COLUMNS][hd] */
    int8_t *q8;           /* [ATTN_COLUMNS][hd], */
    float *qd;            /* [ATTN_COLUMNS] */
    /* Of a block of positions: */
    float *scores;      /* [ATTN_COLUMNS][SCORES_LD], */
    uint8_t *codes;     /* [ATTN_COLUMNS][CODES_LD][ATTN_GROUP]: what int8 values are weighed */
    float *code_scales; /* [ATTN_COLUMNS][CODES_LD]: with, */
    int8_t *unpacked;   /* [ATTN_BLOCK][hd]: keys, then values of a cache of 4 bits, */
    float *part;        /* [ATTN_COLUMNS][hd]: sums of values, */
    float *part_sum;    /* [ATTN_COLUMNS]: of what they were weighed with; 0: nothing is seen, */
    float *part_max;    /* [ATTN_COLUMNS]: the largest score */
};

struct buffers {
    struct pass_run *runs;          /* [s], */
    struct column *pass_columns;    /* [n]: of the pass */
    float *x;                       /* [n][dim padded]: the residual stream */
    struct act in;                  /* of dim: what the norms give */
    struct act att;                 /* of n_heads * head_dim: what attention gives */
    struct act hidden;              /* c of ffn_dim: what SwiGLU gives */
    struct act gathered;            /* c of dim: in, sorted by expert (mixtures only) */
    float *q, *k, *v;               /* [n][ldq], [n][ldk], [n][ldk] */
    size_t ldq, ldk;                /* heads * head_dim, padded to PANEL_ROWS */
    float *rope;                    /* [n][2][head_dim / 2] */
    float *q_sinks;                 /* [n][ldq]: queries as the sinks see them; only with these */
    float *rope_sinks;              /* [n][2][head_dim / 2] */
    double *inv_freq;               /* [head_dim / 2] */
    float *logits, *new_logits;     /* [s][vocab_size]: of the sequences, and what a pass writes */
    int32_t *ids;                   /* [s][n_ctx]: rings of the last ids */
    struct attn_task *attn_tasks;   /* [most of a pass], */
    uint32_t *attn_order;           /* [the same]: in which they are run */
    uint32_t *deep_runs;            /* [s]: runs whose one column is cut into pieces, */
    float *deep_parts;              /* [blocks][n_heads][hd], */
    float *deep_sums, *deep_max;    /* [blocks][n_heads]: as of thread_scratch */
    float *router;                  /* [n][experts padded]: router logits */
    uint32_t *chosen;               /* [n][experts used], ascending */
    float *chosen_weight;           /* [n][experts used] */
    uint32_t *columns;              /* [c]: token of each gathered column */
    float *column_weight;           /* [c] */
    struct thread_scratch *threads; /* [n_threads] */
};

/* The form a matrix of this type wants. */
unsigned form_of(enum tensor_type type);

/* Places everything in memory of *bytes at base; with base NULL only counts *bytes. False if sizes
 * overflow. threads: [n_threads], may be NULL when counting. */
bool buffers_layout(struct buffers *b, uint8_t *base, size_t *bytes, const struct bise_model *model,
                    const struct bise_plan *plan);

#endif
