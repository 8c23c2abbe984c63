/* Headers of safetensors files, sound and not. */
#include "quant/source/safetensors.h"

#include <criterion/criterion.h>
#include <string.h>

static struct bise_error err;

/* Adds the header's tensors to *set as of a file with data_size bytes of data. */
static enum bise_status add(struct raw_set *set, struct json **header, const char *text,
                            uint64_t data_size) {
    const size_t len = strlen(text);
    cr_assert_eq(json_parse(header, text, len, "t", &err), BISE_OK, "%s", err.detail);
    return safetensors_add(set, 0, *header, len, 8 + len + data_size, "t", &err);
}

Test(safetensors, sound) {
    static const char text[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[16,28]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
        "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[28,36]},"
        "\"e\":{\"dtype\":\"F16\",\"shape\":[7,0],\"data_offsets\":[36,36]}}";
    struct raw_set set = {0};
    struct json *header = NULL;
    cr_assert_eq(add(&set, &header, text, 36), BISE_OK, "%s", err.detail);
    cr_assert_eq(raw_complete(&set, &err), BISE_OK);
    cr_assert_eq(set.n_tensors, 4);
    const struct raw_tensor *b = raw_find(&set, "b");
    cr_assert(b && b->type == RAW_BF16 && b->n_dims == 2 && b->shape[0] == 2 && b->shape[1] == 3);
    cr_assert_eq(b->offset, 8 + sizeof text - 1 + 16);
    cr_assert_eq(b->bytes, 12);
    cr_assert_eq(raw_find(&set, "c")->type, RAW_OTHER);
    cr_assert_eq(raw_find(&set, "c")->n_dims, 0);
    cr_assert_null(raw_find(&set, "__metadata__"));
    cr_assert_null(raw_find(&set, "d"));
    raw_close(&set);
    json_close(&header);
}

Test(safetensors, refused) {
    static const struct {
        const char *text;
        uint64_t data_size;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {"[]", 0, BISE_ERR_FORMAT, "header: expected an object, found an array"},
        {"{\"a\":1}", 0, BISE_ERR_FORMAT, "tensor a: expected an object, found a number"},
        {"{\"a\":{}}", 0, BISE_ERR_FORMAT, "tensor a: expected a dtype, found nothing"},
        {"{\"a\":{\"dtype\":\"F12\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         BISE_ERR_UNSUPPORTED, "tensor a: unknown dtype \"F12\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, BISE_ERR_FORMAT,
         "tensor a: expected a shape, found nothing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, BISE_ERR_FORMAT,
         "whole numbers as its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, BISE_ERR_FORMAT,
         "whole numbers as its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         BISE_ERR_FORMAT, "the product of its shape overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, BISE_ERR_FORMAT,
         "expected data_offsets of two"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, BISE_ERR_FORMAT,
         "offsets 4 to 0 lie outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, BISE_ERR_FORMAT,
         "offsets 0 to 8 lie outside the 4 bytes of data"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,"
         "9223372036854775807]}}",
         4, BISE_ERR_FORMAT, "lie outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, BISE_ERR_FORMAT,
         "its shape and dtype F32 take 8 bytes, its offsets 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,5]}}", 5, BISE_ERR_FORMAT,
         "its shape and dtype F32 take 4 bytes, its offsets 5"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, BISE_ERR_FORMAT,
         "offsets 0 to 4 lie outside the 3 bytes of data"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, BISE_ERR_FORMAT,
         "expected a file of"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, BISE_ERR_FORMAT,
         "4 bytes before tensor a belong to no tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, BISE_ERR_FORMAT, "tensors a and b overlap"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_set set = {0};
        struct json *header = NULL;
        cr_assert_eq(add(&set, &header, cases[i].text, cases[i].data_size), cases[i].status, "%s",
                     cases[i].text);
        cr_assert(strstr(err.detail, cases[i].message), "expected \"%s\" in \"%s\"",
                  cases[i].message, err.detail);
        raw_close(&set);
        json_close(&header);
    }
}

Test(safetensors, header_length) {
    uint8_t first[8] = {100};
    size_t len;
    cr_assert_eq(safetensors_header_length(first, 108, "t", &len, &err), BISE_OK);
    cr_assert_eq(len, 100);
    cr_assert_eq(safetensors_header_length(first, 107, "t", &len, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "a header of 100 bytes in a file of 107"), "%s", err.detail);
    memset(first, 0xFF, 8);
    cr_assert_eq(safetensors_header_length(first, 1000, "t", &len, &err), BISE_ERR_FORMAT);
    memset(first + 4, 0, 4);
    cr_assert_eq(safetensors_header_length(first, (uint64_t)1 << 40, "t", &len, &err),
                 BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "at most 100000000"), "%s", err.detail);
}

Test(safetensors, same_name_twice) {
    static const char text[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                               "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    struct raw_set set = {0};
    struct json *header = NULL;
    struct raw_file file = {.path = "x/t", .fd = -1};
    cr_assert_eq(add(&set, &header, text, 8), BISE_OK, "%s", err.detail);
    set.files = &file;
    cr_assert_eq(raw_complete(&set, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "tensor a comes twice"), "%s", err.detail);
    set.files = NULL;
    raw_close(&set);
    json_close(&header);
}
