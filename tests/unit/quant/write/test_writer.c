/* Writing files: any order, any threads; nothing that looks finished unless it is. */
#include "quant/write/part_journal.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/model/format.h"
#include "tests/unit/tiny_model.h"
#include "tests/unit/toy_tokenizer.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[256], path[300];
static struct bise_error err;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/w.bise", folder);
    memset(&err, 0, sizeof err);
}

static void teardown(void) {
    unlink(path);
    rmdir(folder);
}

TestSuite(writer, .init = setup, .fini = teardown);

static unsigned files_in(const char *dir) {
    unsigned n = 0;
    DIR *d = opendir(dir);
    cr_assert_not_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* An open writer of the tiny model, and what it was opened with. */
struct opened {
    struct writer *w;
    struct tensor_shape *shapes;
    struct writer_tensor *tensors;
    size_t n;
};

static struct opened open_tiny(enum tensor_type type) {
    const struct model_config c = tiny_config();
    struct opened o = {0};
    o.tensors = tiny_tensors(&c, type, &o.shapes, &o.n, &err);
    cr_assert_not_null(o.tensors);
    cr_assert_eq(writer_open(&o.w, path,
                             &(struct writer_plan){.config = &c,
                                                   .provenance = &tiny_provenance,
                                                   .tensors = o.tensors,
                                                   .n_tensors = o.n},
                             &err),
                 BISE_OK, "%s", err.detail);
    return o;
}

static void free_opened(struct opened *o) {
    writer_abort(&o->w);
    free(o->tensors);
    free(o->shapes);
}

static void check_sound(void) {
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK, "%s", err.detail);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        cr_assert_eq(crc32c(0, t->w.panels, t->length), t->crc, "%s", t->name);
        for (uint64_t j = 0; j < t->length; j++)
            cr_assert_eq(t->w.panels[j], tiny_byte(i, j), "%s", t->name);
    }
    bise_model_close(&m);
}

/* Puts bytes [from, to) of tensor i. */
static enum bise_status put(struct writer *w, size_t i, uint64_t from, uint64_t to) {
    uint8_t bytes[4096];
    cr_assert_leq(to - from, sizeof bytes);
    for (uint64_t j = from; j < to; j++)
        bytes[j - from] = tiny_byte(i, j);
    return writer_put(w, i, from, bytes, to - from, &err);
}

/* Ranges of odd sizes, number n of them first; the order is that of a multiplicative walk. */
static void put_scattered(struct writer *w, size_t i, uint64_t step) {
    const uint64_t bytes = writer_tensor_bytes(w, i), n = (bytes + step - 1) / step;
    uint64_t stride = n / 2 + 1;
    for (bool coprime = false; !coprime; stride += !coprime) {
        uint64_t a = stride, b = n;
        while (b) {
            const uint64_t r = a % b;
            a = b;
            b = r;
        }
        coprime = a == 1;
    }
    for (uint64_t k = 0, at = 0; k < n; k++, at = (at + stride) % n) {
        const uint64_t from = at * step, to = from + step < bytes ? from + step : bytes;
        cr_assert_eq(put(w, i, from, to), BISE_OK, "%s", err.detail);
    }
}

Test(writer, ranges_in_any_order) {
    static const uint64_t steps[] = {4096, 1000, 333, 64};
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        struct opened o = open_tiny(TYPE_I8);
        for (size_t i = o.n; i-- > 0;)
            put_scattered(o.w, i, steps[s]);
        cr_assert_eq(writer_finish(&o.w, &err), BISE_OK, "%s", err.detail);
        cr_assert_null(o.w);
        free_opened(&o);
        check_sound();
        cr_assert_eq(files_in(folder), 1);
    }
}

struct thread_job {
    struct writer *w;
    size_t n, first;
};

static void *put_every_third(void *arg) {
    const struct thread_job *job = arg;
    for (size_t i = 0; i < job->n; i++) {
        const uint64_t bytes = writer_tensor_bytes(job->w, i);
        for (uint64_t at = 500 * job->first; at < bytes; at += 1500)
            if (put(job->w, i, at, at + 500 < bytes ? at + 500 : bytes) != BISE_OK)
                return arg;
    }
    return NULL;
}

Test(writer, ranges_from_several_threads) {
    struct opened o = open_tiny(TYPE_BF16);
    pthread_t threads[3];
    struct thread_job jobs[3];
    for (size_t i = 0; i < 3; i++) {
        jobs[i] = (struct thread_job){o.w, o.n, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, put_every_third, &jobs[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    cr_assert_eq(writer_finish(&o.w, &err), BISE_OK, "%s", err.detail);
    free_opened(&o);
    check_sound();
}

Test(writer, bytes_missing_twice_or_outside_are_refused) {
    struct opened o = open_tiny(TYPE_I4);
    const uint64_t bytes = writer_tensor_bytes(o.w, 2);
    cr_assert_eq(put(o.w, 2, 100, 200), BISE_OK);
    cr_assert_eq(put(o.w, 2, 300, 400), BISE_OK);
    static const uint64_t bad[][2] = {{100, 200}, {150, 160}, {50, 101}, {199, 300},
                                      {200, 301}, {90, 500},  {399, 400}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(put(o.w, 2, bad[i][0], bad[i][1]), BISE_ERR_ARG, "case %zu", i);
        cr_assert_not_null(strstr(err.detail, "twice"));
    }
    cr_assert_eq(writer_put(o.w, 2, bytes - 1, "ab", 2, &err), BISE_ERR_ARG);
    cr_assert_eq(writer_put(o.w, 2, UINT64_MAX, "ab", 2, &err), BISE_ERR_ARG);
    cr_assert_eq(writer_put(o.w, o.n, 0, "ab", 2, &err), BISE_ERR_ARG);
    for (size_t i = 0; i < o.n; i++)
        if (i != 2)
            cr_assert_eq(tiny_put(o.w, i, &err), BISE_OK);
    cr_assert_eq(put(o.w, 2, 0, 100), BISE_OK);
    cr_assert_eq(put(o.w, 2, 200, 300), BISE_OK);
    cr_assert_eq(writer_finish(&o.w, &err), BISE_ERR_ARG);
    cr_assert(strstr(err.detail, "not every byte") && strstr(err.detail, o.shapes[2].name));
    cr_assert_null(o.w);
    free_opened(&o);
    cr_assert_eq(files_in(folder), 0);
}

static void open_again(struct opened *o) {
    const struct model_config c = tiny_config();
    cr_assert_eq(writer_open(&o->w, path,
                             &(struct writer_plan){.config = &c,
                                                   .provenance = &tiny_provenance,
                                                   .tensors = o->tensors,
                                                   .n_tensors = o->n,
                                                   .kind = WRITER_RESUMABLE,
                                                   .source = 5},
                             &err),
                 BISE_OK, "%s", err.detail);
}

static void put_done(const struct opened *o, size_t i) {
    cr_assert_eq(tiny_put(o->w, i, &err), BISE_OK);
    writer_set_tensor(o->w, i, NULL, 0.07f);
    cr_assert_eq(writer_tensor_done(o->w, i, &err), BISE_OK, "%s", err.detail);
}

Test(writer, goes_on_with_what_an_earlier_one_finished) {
    struct opened o = open_tiny(TYPE_I8);
    char journal[320];
    size_t n;
    writer_abort(&o.w);
    open_again(&o);
    put_done(&o, 0);
    put_done(&o, 1);
    put_done(&o, 2);
    cr_assert_eq(put(o.w, 3, 0, 100), BISE_OK);
    cr_assert_eq(writer_tensor_done(o.w, 3, &err), BISE_ERR_ARG, "its end is missing");
    cr_assert_eq(put(o.w, 4, 100, writer_tensor_bytes(o.w, 4)), BISE_OK);
    cr_assert_eq(writer_tensor_done(o.w, 4, &err), BISE_ERR_ARG, "its beginning is missing");
    snprintf(journal, sizeof journal, "%s.journal", writer_temp_path(o.w));
    writer_suspend(&o.w);
    uint8_t *const bytes = tiny_slurp(journal, &n);
    cr_assert_not_null(bytes);
    put_u32(bytes + n - PART_ENTRY, INT32_MAX); /* a number that no tensor has */
    put_u32(bytes + n - 4, crc32c(0, bytes + n - PART_ENTRY, PART_ENTRY - 4));
    cr_assert(tiny_dump(journal, bytes, n));
    free(bytes);
    open_again(&o);
    cr_assert_eq(writer_finished(o.w), 2);
    cr_assert(writer_has_tensor(o.w, 1) && !writer_has_tensor(o.w, 2));
    for (size_t i = 2; i < o.n; i++)
        put_done(&o, i);
    cr_assert_eq(writer_finish(&o.w, &err), BISE_OK, "%s", err.detail);
    free_opened(&o);
    check_sound();
    cr_assert_eq(files_in(folder), 1);
}

Test(writer, an_older_file_stays_until_the_new_one_is_whole) {
    cr_assert(tiny_dump(path, (const uint8_t *)"old", 3));
    struct opened o = open_tiny(TYPE_I4);
    cr_assert_eq(files_in(folder), 2);
    cr_assert_eq(tiny_put(o.w, 0, &err), BISE_OK);
    writer_abort(&o.w);
    cr_assert_null(o.w);
    cr_assert_eq(files_in(folder), 1);
    size_t n = 0;
    uint8_t *bytes = tiny_slurp(path, &n);
    cr_assert_eq(n, 3);
    free(bytes);
    free_opened(&o);
    const struct model_config c = tiny_config();
    cr_assert_eq(tiny_write(path, &c, TYPE_I4, &err), BISE_OK, "%s", err.detail);
    check_sound();
    writer_abort(NULL);
}

Test(writer, killed_in_the_middle_leaves_nothing_that_looks_finished) {
    int ends[2];
    char ready, temp[400];
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct opened o = open_tiny(TYPE_F32);
        for (size_t i = 0; i < o.n; i++)
            tiny_put(o.w, i, &err);
        if (write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ends[0], &ready, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_neq(access(path, F_OK), 0);
    snprintf(temp, sizeof temp, "%s.bise-tmp-%ld", path, (long)child);
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, temp, NULL, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "never finished"), "%s", err.detail);
    cr_assert_eq(unlink(temp), 0);
}

Test(writer, places_that_cannot_be_written_are_refused) {
    const struct model_config c = tiny_config();
    char elsewhere[400];
    snprintf(elsewhere, sizeof elsewhere, "%s/no/such/w.bise", folder);
    cr_assert_eq(tiny_write(elsewhere, &c, TYPE_I4, &err), BISE_ERR_IO);
    cr_assert_not_null(strstr(err.detail, "/no/such"));
    cr_assert_eq(tiny_write(folder, &c, TYPE_I4, &err), BISE_ERR_IO);
    cr_assert_not_null(strstr(err.detail, "not a regular file"));
    cr_assert_eq(tiny_write("/dev/null", &c, TYPE_I4, &err), BISE_ERR_IO);
}

Test(writer, wrong_plans_are_refused) {
    const struct model_config c = tiny_config();
    struct model_config broken = c;
    struct writer *w = NULL;
    const struct writer_tensor tensors[] = {
        {"a", TYPE_I4, 0, 5, false},    {"a", TYPE_I4, 5, MAX_DIM + 1, false},
        {"a", TYPE_COUNT, 5, 5, false}, {"a", TYPE_I8, 1, 5, true},
        {"a", TYPE_F32, 2, 5, true},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        cr_assert_eq(
            writer_open(&w, path,
                        &(struct writer_plan){.config = &c, .tensors = &tensors[i], .n_tensors = 1},
                        &err),
            BISE_ERR_ARG);
    broken.n_kv_heads = 3;
    const struct writer_tensor good = {"norm", TYPE_F32, 1, 32, true};
    cr_assert_eq(
        writer_open(&w, path,
                    &(struct writer_plan){.config = &broken, .tensors = &good, .n_tensors = 1},
                    &err),
        BISE_ERR_FORMAT);
    /* 2^43 bytes each: the sum does not overflow, the disk has no room for it */
    struct writer_tensor huge[8];
    for (size_t i = 0; i < 8; i++)
        huge[i] = (struct writer_tensor){"a", TYPE_F32, MAX_VOCAB, MAX_DIM, false};
    cr_assert_eq(writer_open(&w, path,
                             &(struct writer_plan){.config = &c, .tensors = huge, .n_tensors = 8},
                             &err),
                 BISE_ERR_DISK, "%s", err.detail);
    cr_assert_null(w);
    cr_assert_eq(files_in(folder), 0);
}

Test(writer, tokenizer_and_texts_come_back) {
    static struct toy toy;
    toy_begin(&toy, false);
    for (unsigned i = 0; i < 20; i++) {
        const char piece[2] = {(char)('a' + i), 0};
        toy_piece(&toy, piece, -(float)i, PIECE_NORMAL);
    }
    toy_end(&toy, false, true);
    toy_int(&toy, 99, 1); /* an unknown field: kept byte for byte */
    struct model_config c = tiny_config();
    c.n_eos = 0;
    c.chat = CHAT_UNKNOWN;
    cr_assert_eq(tiny_write_with(path, &c, TYPE_I4, toy.bytes, toy.len, &err), BISE_OK, "%s",
                 err.detail);
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(m->tokenizer_len, toy.len);
    cr_assert_arr_eq(m->tokenizer_bytes, toy.bytes, toy.len);
    cr_assert(bise_model_info(m)->has_tokenizer);
    cr_assert_str_eq(bise_model_info(m)->chat_format, "");
    cr_assert_str_eq(m->provenance.source, tiny_provenance.source);
    bise_model_close(&m);
    c.vocab_size = 22; /* fewer than the tokenizer has pieces */
    cr_assert_eq(tiny_write_with(path, &c, TYPE_I4, toy.bytes, toy.len, &err), BISE_OK);
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_ERR_FORMAT);
    cr_assert_not_null(strstr(err.detail, "vocabulary"));
}

Test(writer, texts_are_made_printable) {
    const struct model_config c = tiny_config();
    struct provenance p = {.source = "a\x1b[31m\xff\xc2\x9b\n\xe2\x82\xac", .eval = "\x7f"};
    memset(p.recipe, 0xe2, sizeof p.recipe); /* no terminator, no UTF-8 */
    struct tensor_shape *shapes = NULL;
    size_t n = 0;
    struct writer *w = NULL;
    struct writer_tensor *list = tiny_tensors(&c, TYPE_I4, &shapes, &n, &err);
    cr_assert_eq(writer_open(&w, path,
                             &(struct writer_plan){
                                 .config = &c, .provenance = &p, .tensors = list, .n_tensors = n},
                             &err),
                 BISE_OK);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(tiny_put(w, i, &err), BISE_OK);
    cr_assert_eq(writer_finish(&w, &err), BISE_OK, "%s", err.detail);
    struct bise_model *m = NULL;
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK, "%s", err.detail);
    cr_assert_str_eq(m->provenance.source, "a?[31m???\n\xe2\x82\xac");
    cr_assert_eq(strspn(m->provenance.recipe, "?"), FORMAT_TEXT_MAX);
    cr_assert_str_eq(m->provenance.eval, "?");
    bise_model_close(&m);
    free(list);
    free(shapes);
}

/* Fills the file system that path lies on. */
static void fill_disk(const char *at) {
    static const uint8_t block[4096];
    FILE *f = fopen(at, "wb");
    cr_assert_not_null(f);
    setbuf(f, NULL);
    while (fwrite(block, 1, sizeof block, f) == sizeof block) {
    }
    fclose(f);
}

Test(writer, full_disk) {
    if (mount("tmpfs", folder, "tmpfs", 0, "size=256k") != 0) {
        printf("skipped full_disk: mounting a tmpfs: %s\n", strerror(errno));
        return;
    }
    struct model_config c = tiny_config();
    char rest[400];
    snprintf(rest, sizeof rest, "%s/rest", folder);
    /* Room is taken at the start: what others write later does no harm. */
    struct opened o = open_tiny(TYPE_I4);
    fill_disk(rest);
    for (size_t i = 0; i < o.n; i++)
        cr_expect_eq(tiny_put(o.w, i, &err), BISE_OK, "%s", err.detail);
    cr_expect_eq(writer_finish(&o.w, &err), BISE_OK, "%s", err.detail);
    free_opened(&o);
    check_sound();
    cr_expect_eq(unlink(path), 0);
    fill_disk(rest);
    cr_expect_eq(tiny_write(path, &c, TYPE_I4, &err), BISE_ERR_DISK);
    cr_expect_not_null(strstr(err.detail, "left"), "%s", err.detail);
    cr_expect_eq(files_in(folder), 1);
    cr_expect_eq(umount2(folder, MNT_DETACH), 0);
}
