/* Pickles and the archives around them, sound and not. Those under tests/fuzz/corpus/pickle were
 * made by Python's pickle and zipfile, in the places where torch uses them. */
#include "quant/source/pickle.h"
#include "src/os/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "tests/fuzz/corpus/pickle/"

static struct bise_error err;

static enum bise_status read_corpus(const char *name, struct pickle_tensor **t, size_t *n,
                                    uint8_t **bytes) {
    char path[128];
    size_t len;
    snprintf(path, sizeof path, CORPUS "%s", name);
    cr_assert_eq(file_read_whole(path, 1 << 20, bytes, &len, &err), BISE_OK, "%s", err.detail);
    return pickle_read(*bytes, len, name, t, n, &err);
}

static bool text_is(struct pickle_text t, const char *s) {
    return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

Test(pickle, state_dict_of_both_protocols) {
    static const char *const names[] = {"state_dict", "protocol4"};
    for (int i = 0; i < 2; i++) {
        struct pickle_tensor *t;
        size_t n;
        uint8_t *bytes;
        cr_assert_eq(read_corpus(names[i], &t, &n, &bytes), BISE_OK, "%s", err.detail);
        cr_assert_eq(n, 5);
        cr_assert(text_is(t[1].name, "output.weight") && text_is(t[1].storage, "0"));
        cr_assert(t[1].type == RAW_BF16 && t[1].element == 2 && t[1].storage_elements == 12);
        cr_assert(t[1].offset == 6 && t[1].n_elements == 6 && t[1].n_dims == 2);
        cr_assert(t[1].shape[0] == 2 && t[1].shape[1] == 3);
        cr_assert(text_is(t[2].name, "norm.weight") && t[2].type == RAW_F32 && t[2].n_dims == 1);
        cr_assert(t[3].type == RAW_OTHER);
        cr_assert_str_eq(t[3].dtype, "LongStorage");
        cr_assert(t[4].n_dims == 0 && t[4].n_elements == 1 && t[4].offset == 1);
        free(t);
        free(bytes);
    }
}

Test(pickle, code_is_refused_by_name) {
    static const struct {
        const char *name, *message;
    } cases[] = {{"os_system", "asks for posix.system: only tensors are read"},
                 {"os_system4", "asks for posix.system: only tensors are read"},
                 {"inst", "opcode STRING is not one that tensors are made of"},
                 {"strided", "not contiguous: dimension 1 of 2: expected a stride of 1, found 2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickle_tensor *t;
        size_t n;
        uint8_t *bytes;
        cr_assert_eq(read_corpus(cases[i].name, &t, &n, &bytes), BISE_ERR_UNSUPPORTED);
        cr_assert(strstr(err.detail, cases[i].message), "%s", err.detail);
        free(bytes);
    }
}

#define TENSOR  "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE "(X\7\0\0\0storagectorch\nHalfStorage\nX\1\0\0\0kX\3\0\0\0cpuK\6tQ"

Test(pickle, refused) {
    static const struct {
        const char *data;
        size_t len;
        enum bise_status status;
        const char *message;
    } cases[] = {
#define CASE(text, status, message) {text, sizeof text - 1, status, message}
        CASE("\x80\2}", BISE_ERR_FORMAT, "byte 3: cut short"),
        CASE("\x80\1}.", BISE_ERR_UNSUPPORTED, "protocol 1"),
        CASE("\x80\2}.", BISE_ERR_FORMAT, "a dictionary without tensors"),
        CASE("\x80\2N.", BISE_ERR_FORMAT, "expected a dictionary of tensors, found None"),
        CASE("\x80\2.", BISE_ERR_FORMAT, "takes more than was put"),
        CASE("\x80\2(R", BISE_ERR_FORMAT, "takes more than was put"),
        CASE("\x80\2((R", BISE_ERR_FORMAT, "a mark where a value is expected"),
        CASE("\x80\2}}u", BISE_ERR_FORMAT, "no mark"),
        CASE("\x80\2N(NNu", BISE_ERR_FORMAT, "expected a dictionary"),
        CASE("\x80\2}(Nu", BISE_ERR_FORMAT, "expected a dictionary, its keys"),
        CASE("\x80\2a", BISE_ERR_FORMAT, "takes more"),
        CASE("\x80\2NNe", BISE_ERR_FORMAT, "no mark"),
        CASE("\x80\2NNa", BISE_ERR_FORMAT, "expected a list"),
        CASE("\x80\2h\0", BISE_ERR_FORMAT, "memo 0 was never put"),
        CASE("\x80\2Nr\xff\xff\xff\xff", BISE_ERR_FORMAT, "memo 4294967295 of a pickle of 8"),
        CASE("\x80\2X\xff\xff\xff\xffx", BISE_ERR_FORMAT, "cut short"),
        CASE("\x80\2X\1\0\0\0\0", BISE_ERR_FORMAT, "a string with a NUL"),
        CASE("\x80\2\x8a\x09xxxxxxxxx", BISE_ERR_FORMAT, "an integer of 9 bytes"),
        CASE("\x80\2NNb", BISE_ERR_UNSUPPORTED, "sets attributes of None"),
        CASE("\x80\2NNR", BISE_ERR_FORMAT, "calls None with None"),
        CASE("\x80\2NQ", BISE_ERR_FORMAT, "expected a persistent id"),
        CASE("\x80\2"
             "cbuiltins\neval\n",
             BISE_ERR_UNSUPPORTED, "asks for builtins.eval"),
        CASE("\x80\2"
             "ctorch._utils\n_rebuild_tensor\n",
             BISE_ERR_UNSUPPORTED, "asks for torch._utils._rebuild_tensor:"),
        CASE("\x80\2"
             "ctorch\nHalfStorage\n)R",
             BISE_ERR_UNSUPPORTED, "calls HalfStorage"),
        CASE("\x80\2"
             "ccollections\nOrderedDict\nN\x85R",
             BISE_ERR_UNSUPPORTED, "calls OrderedDict with 1 other arguments"),
        CASE("\x80\2N\x81", BISE_ERR_UNSUPPORTED, "opcode NEWOBJ"),
        CASE("\x80\2\xff", BISE_ERR_UNSUPPORTED, "opcode 0xff"),
        CASE("\x80\2" TENSOR ")R", BISE_ERR_FORMAT, "expected a storage, an offset"),
        CASE("\x80\2" TENSOR "(" STORAGE "K\0K\2K\3\x86K\1\x85\x89NtR", BISE_ERR_FORMAT,
             "one for each dimension"),
        CASE("\x80\2" TENSOR "(" STORAGE "K\0K\2K\3\x86NN\x86\x89NtR", BISE_ERR_FORMAT,
             "whole numbers as sizes"),
        CASE("\x80\2" TENSOR "(" STORAGE "K\1K\2K\3\x86K\3K\1\x86\x89NtR", BISE_ERR_FORMAT,
             "a tensor of 6 elements at 1 lies outside its storage of 6"),
        CASE("\x80\2" TENSOR "(" STORAGE
             "K\0\x8a\5\0\0\0\0\1\x8a\5\0\0\0\0\1\x86\x8a\5\0\0\0\0\1K\1\x86\x89NtR",
             BISE_ERR_FORMAT, "the product of its shape overflows"),
        CASE("\x80\2}N" TENSOR "(" STORAGE "K\0K\6\x85K\1\x85\x89NtRs", BISE_ERR_FORMAT,
             "a tensor's name: expected a string, found None"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickle_tensor *t;
        size_t n;
        cr_assert_eq(pickle_read(cases[i].data, cases[i].len, "t", &t, &n, &err), cases[i].status,
                     "case %zu: %s", i, err.detail);
        cr_assert(strstr(err.detail, cases[i].message), "case %zu: %s", i, err.detail);
        cr_assert(t == NULL && n == 0);
    }
}

Test(pickle, archives) {
    static const struct {
        const char *name;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {"torch_zip", BISE_OK, ""},
        {"deflated", BISE_ERR_UNSUPPORTED, "is compressed or encrypted"},
        {"short_storage", BISE_ERR_FORMAT, "expected a storage of 12 elements of 2 bytes, found 4"},
        {"no_storage", BISE_ERR_FORMAT, "its storage data/1 is missing"},
        {"state_dict", BISE_ERR_UNSUPPORTED, "found torch's older format"},
        {"empty", BISE_ERR_FORMAT, "expected a zip archive, found no end record"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_set set = {0};
        char path[128];
        snprintf(path, sizeof path, CORPUS "%s", cases[i].name);
        cr_assert_eq(raw_add_torch(&set, path, &err), cases[i].status, "%s: %s", path, err.detail);
        if (cases[i].status)
            cr_assert(strstr(err.detail, cases[i].message), "%s", err.detail);
        raw_close(&set);
    }
}

/* Cut anywhere, or with any one byte changed, it is read or refused, within the file's bounds. */
Test(pickle, damaged_archives) {
    const char path[] = "/tmp/bise-test-pickle.bin";
    uint8_t *bytes;
    size_t len, read = 0;
    cr_assert_eq(file_read_whole(CORPUS "torch_zip", 1 << 20, &bytes, &len, &err), BISE_OK);
    for (size_t i = 0; i < 2 * len; i++) {
        const size_t at = i % len, n = i < len ? at : len;
        struct raw_set set = {0};
        bytes[at] ^= 0xA5;
        FILE *f = fopen(path, "wb");
        cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
        bytes[at] ^= 0xA5;
        if (raw_add_torch(&set, path, &err) == BISE_OK) {
            read++;
            for (size_t j = 0; j < set.n_tensors; j++)
                cr_assert(set.tensors[j].offset <= n &&
                          set.tensors[j].bytes <= n - set.tensors[j].offset);
        }
        raw_close(&set);
    }
    cr_assert(read > 0 && read < len); /* a changed weight is no fault, a cut always is */
    remove(path);
    free(bytes);
}

/* Memory is in proportion to the pickle, whatever it repeats. */
Test(pickle, amplification_is_refused) {
    static char data[PICKLE_MAX_BYTES];
    struct pickle_tensor *t;
    size_t n, at = 2;
    memcpy(data, "\x80\2", 2);
    memset(data + at, 'N', sizeof data - at); /* a value for every byte */
    cr_assert_eq(pickle_read(data, sizeof data, "t", &t, &n, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "values at once: no model's"), "%s", err.detail);
    memset(data + at, 0x94, sizeof data - at); /* the same value, remembered again and again */
    data[at] = 'N';
    cr_assert_eq(pickle_read(data, sizeof data, "t", &t, &n, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "values at once: no model's"), "%s", err.detail);
    static const char tensor[] = TENSOR "(" STORAGE "K\0K\6\x85K\1\x85\x89NtRq\1";
    char name[] = "X\0\1\0\0"; /* a name of 256 bytes */
    at = 2;
    data[at++] = '}';
    memcpy(data + at, name, 5);
    memset(data + at + 5, 'n', 256);
    at += 261;
    memcpy(data + at, tensor, sizeof tensor - 1);
    at += sizeof tensor - 1;
    memcpy(data + at, "s.", 2);
    cr_assert_eq(pickle_read(data, at + 2, "t", &t, &n, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "a tensor's name of 256 bytes"), "%s", err.detail);
}
