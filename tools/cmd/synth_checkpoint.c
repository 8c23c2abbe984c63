/* A random bf16 checkpoint as Hugging Face lays them out: what quantize is timed on. */
#include "tools/cmd/synth.h"

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/model/shape.h"
#include "src/os/file.h"
#include "src/os/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SHARD_BYTES  5000000000u /* what a shard holds at most, unless one tensor is larger */
#define PIECE_VALUES ((size_t)1 << 20)

struct hf_tensor {
    char name[96];
    uint32_t rows, cols; /* rows 0: a vector */
    uint64_t bytes, at;  /* at: in its shard's data */
    unsigned shard;
    float mean, std;
};

struct checkpoint {
    struct synth *synth;
    const char *folder;
    struct hf_tensor *tensors;
    size_t n;
    unsigned n_shards;
    uint64_t total, done;
    struct jobs jobs; /* buffers: PIECE_VALUES of bf16 */
    /* of the tensor at hand */
    size_t index;
    char path[4096]; /* of its shard */
    int fd;
    uint64_t data_at;
};

/* layers.3.attention.wq -> model.layers.3.self_attn.q_proj.weight, and so on. */
static void hf_name(char *out, size_t cap, const char *name) {
    static const char *const whole[][2] = {
        {"tok_embeddings", "model.embed_tokens"}, {"norm", "model.norm"}, {"output", "lm_head"}};
    static const char *const parts[][2] = {
        {"attention_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"},
        {"attention.wq", "self_attn.q_proj"},  {"attention.wk", "self_attn.k_proj"},
        {"attention.wv", "self_attn.v_proj"},  {"attention.wo", "self_attn.o_proj"},
        {"feed_forward.w1", "mlp.gate_proj"},  {"feed_forward.w2", "mlp.down_proj"},
        {"feed_forward.w3", "mlp.up_proj"},    {"feed_forward.gate", "block_sparse_moe.gate"},
    };
    unsigned layer;
    int skip = 0;
    if (sscanf(name, "layers.%u.%n", &layer, &skip) != 1 || skip == 0) {
        for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
            if (strcmp(whole[i][0], name) == 0)
                snprintf(out, cap, "%s.weight", whole[i][1]);
        return;
    }
    const char *part = name + skip;
    if (strncmp(part, "feed_forward.experts.", 21) == 0)
        snprintf(out, cap, "model.layers.%u.block_sparse_moe.experts.%s.weight", layer, part + 21);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(parts[i][0], part) == 0)
            snprintf(out, cap, "model.layers.%u.%s.weight", layer, parts[i][1]);
}

/* Names, sizes and shards of all tensors. */
static enum bise_status plan(struct checkpoint *c, struct bise_error *err) {
    struct tensor_shape *shapes = NULL;
    uint64_t at = 0;
    const enum bise_status s = config_shapes(&c->synth->config, &shapes, &c->n, err);
    if (s != BISE_OK)
        return s;
    c->tensors = calloc(c->n, sizeof *c->tensors);
    for (size_t i = 0; c->tensors && i < c->n; i++) {
        const struct tensor_shape *shape = &shapes[i];
        struct hf_tensor *t = &c->tensors[i];
        hf_name(t->name, sizeof t->name, shape->name);
        t->rows = shape->is_vector ? 0 : shape->rows;
        t->cols = shape->cols;
        t->bytes = 2 * (uint64_t)shape->rows * shape->cols;
        t->mean = shape->is_vector ? 1 : 0;
        t->std = shape->is_vector ? 0.1f : synth_std(shape->name, shape->cols);
        if (at > 0 && at + t->bytes > SHARD_BYTES) {
            c->n_shards++;
            at = 0;
        }
        t->shard = c->n_shards;
        t->at = at;
        at += t->bytes;
        c->total += t->bytes;
    }
    c->n_shards++;
    free(shapes);
    return c->tensors ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu names", c->n);
}

static enum bise_status check_place(const struct checkpoint *c, struct bise_error *err) {
    uint64_t room;
    if (mkdir(c->folder, 0777) != 0)
        return file_fail(c->folder, "making the folder", errno, err);
    const enum bise_status s = file_disk_room(c->folder, &room, err);
    if (s)
        return s;
    if (room < c->total)
        return bise_fail(err, BISE_ERR_DISK, "%s needs %llu bytes; its disk has %llu left",
                         c->folder, (unsigned long long)c->total, (unsigned long long)room);
    return BISE_OK;
}

static void shard_name(char *out, size_t cap, const struct checkpoint *c, unsigned shard) {
    snprintf(out, cap, "model-%05u-of-%05u.safetensors", shard + 1, c->n_shards);
}

/* The header of a shard: its length, then JSON padded with spaces to a multiple of 8. */
static enum bise_status write_shard_header(struct checkpoint *c, unsigned shard, const char *path,
                                           struct bise_error *err) {
    char *text = NULL;
    size_t n = 0;
    uint8_t length[8];
    FILE *f = open_memstream(&text, &n);
    if (!f)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its header", path);
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", f);
    for (size_t i = 0; i < c->n; i++) {
        const struct hf_tensor *t = &c->tensors[i];
        if (t->shard != shard)
            continue;
        fprintf(f, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[", t->name);
        if (t->rows)
            fprintf(f, "%u,", t->rows);
        fprintf(f, "%u],\"data_offsets\":[%llu,%llu]}", t->cols, (unsigned long long)t->at,
                (unsigned long long)(t->at + t->bytes));
    }
    fputc('}', f);
    while (fflush(f) == 0 && n % 8 != 0)
        fputc(' ', f);
    if (fclose(f) != 0)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its header", path);
    put_u64(length, n);
    enum bise_status s = file_write_at(c->fd, path, 0, length, sizeof length, err);
    if (s == BISE_OK)
        s = file_write_at(c->fd, path, sizeof length, text, n, err);
    c->data_at = sizeof length + n;
    free(text);
    return s;
}

static enum bise_status fill_task(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *err) {
    const struct checkpoint *c = arg;
    const struct hf_tensor *t = &c->tensors[c->index];
    const size_t first = task * PIECE_VALUES, left = t->bytes / 2 - first;
    const size_t n = left < PIECE_VALUES ? left : PIECE_VALUES;
    struct random_state r = synth_stream(c->synth, c->index, task);
    synth_bf16(buffer, n, c->synth->normal, t->mean, t->std, &r);
    (void)thread;
    return file_write_at(c->fd, c->path, c->data_at + t->at + 2 * first, buffer, 2 * n, err);
}

static enum bise_status write_shard(struct checkpoint *c, unsigned shard, struct bise_error *err) {
    char name[64];
    shard_name(name, sizeof name, c, shard);
    snprintf(c->path, sizeof c->path, "%s/%s", c->folder, name);
    c->fd = open(c->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (c->fd < 0)
        return file_fail(c->path, "creating", errno, err);
    enum bise_status s = write_shard_header(c, shard, c->path, err);
    for (size_t i = 0; i < c->n && s == BISE_OK; i++) {
        const struct hf_tensor *t = &c->tensors[i];
        if (t->shard != shard)
            continue;
        c->index = i;
        s = jobs_run(&c->jobs, fill_task, c, (t->bytes / 2 + PIECE_VALUES - 1) / PIECE_VALUES, err);
        c->done += t->bytes;
        progress_show(&c->synth->progress, c->done, c->total);
        if (s == BISE_OK && interrupted())
            s = bise_fail(err, BISE_ERR_INTERRUPTED, "interrupted: %s is not complete", c->folder);
    }
    file_close(&c->fd);
    return s;
}

static void print_index(FILE *f, const struct checkpoint *c) {
    char name[64];
    fprintf(f, "{\"metadata\":{\"total_size\":%llu},\"weight_map\":{",
            (unsigned long long)c->total);
    for (size_t i = 0; i < c->n; i++) {
        shard_name(name, sizeof name, c, c->tensors[i].shard);
        fprintf(f, "%s\n\"%s\":\"%s\"", i ? "," : "", c->tensors[i].name, name);
    }
    fputs("}}\n", f);
}

static void print_config(FILE *f, const struct checkpoint *c) {
    const struct model_config *m = &c->synth->config;
    const char *arch = m->n_experts ? "Mixtral" : "Mistral";
    fprintf(f, "{\"architectures\":[\"%sForCausalLM\"],\"model_type\":\"%s\",\n", arch,
            m->n_experts ? "mixtral" : "mistral");
    fprintf(f, "\"hidden_size\":%u,\"intermediate_size\":%u,\"num_hidden_layers\":%u,\n", m->dim,
            m->ffn_dim, m->n_layers);
    fprintf(f, "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":%u,\n",
            m->n_heads, m->n_kv_heads, m->head_dim);
    fprintf(f, "\"vocab_size\":%u,\"max_position_embeddings\":%u,\n", m->vocab_size,
            m->max_context);
    if (m->n_experts)
        fprintf(f, "\"num_local_experts\":%u,\"num_experts_per_tok\":%u,\n", m->n_experts,
                m->n_experts_used);
    if (m->window)
        fprintf(f, "\"sliding_window\":%u,\n", m->window);
    else
        fputs("\"sliding_window\":null,\n", f);
    fprintf(f,
            "\"rope_theta\":%.17g,\"rms_norm_eps\":1e-05,\"hidden_act\":\"silu\","
            "\"tie_word_embeddings\":%s,\n",
            m->rope_theta, m->tied_head ? "true" : "false");
    fputs("\"bos_token_id\":1,\"eos_token_id\":2,\"torch_dtype\":\"bfloat16\"}\n", f);
}

static enum bise_status write_text(const struct checkpoint *c, const char *name,
                                   void (*print)(FILE *, const struct checkpoint *),
                                   struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    FILE *f = fopen(path, "w");
    if (!f)
        return file_fail(path, "writing", errno, err);
    print(f, c);
    const bool failed = ferror(f);
    if (fclose(f) != 0 || failed)
        return file_fail(path, "writing", errno ? errno : EIO, err);
    return BISE_OK;
}

enum bise_status synth_write_checkpoint(struct synth *s, const char *folder,
                                        struct bise_error *err) {
    struct checkpoint c = {.synth = s, .folder = folder};
    enum bise_status status = plan(&c, err);
    if (status == BISE_OK && strlen(folder) > 3500)
        status = bise_fail(err, BISE_ERR_ARG, "--checkpoint: the path is too long");
    if (status == BISE_OK)
        status = check_place(&c, err);
    if (status == BISE_OK)
        status = jobs_open(&c.jobs, NULL, s->n_threads, PIECE_VALUES * sizeof(uint16_t), err);
    for (unsigned i = 0; i < c.n_shards && status == BISE_OK; i++)
        status = write_shard(&c, i, err);
    if (status == BISE_OK) /* last: without them the folder is no checkpoint */
        status = write_text(&c, "model.safetensors.index.json", print_index, err);
    if (status == BISE_OK)
        status = write_text(&c, "config.json", print_config, err);
    jobs_close(&c.jobs);
    free(c.tensors);
    return status;
}
