/* Headers of .bise files. The input is a header; the file's length is what it claims, so that the
 * data need not be there, and the CRC is mended, so that the rules behind it are reached. */
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/model/format.h"
#include "src/model/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must be what would be written: the format has one encoding for a header. */
static void check_rewritten(struct file_header *h, const uint8_t *data) {
    struct file_header again = *h;
    if (format_place(&again, NULL) != BISE_OK || again.header_bytes != h->header_bytes ||
        again.file_bytes != h->file_bytes)
        abort();
    uint8_t *bytes = calloc(1, h->header_bytes);
    if (!bytes)
        return;
    memcpy(bytes + h->tokenizer_offset, data + h->tokenizer_offset, h->tokenizer_bytes);
    format_write(h, bytes);
    /* Padding between the parts is not looked at, nor are NaNs all alike; the numbers are. */
    struct file_header read;
    if (format_read(&read, bytes, h->header_bytes, h->file_bytes, "again", NULL) != BISE_OK)
        abort();
    file_header_free(&read);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bise_error err;
    struct file_header h;
    uint64_t header_bytes;
    if (format_read(&h, data, size, size, "fuzz", &err) == BISE_OK)
        file_header_free(&h);
    if (size < FORMAT_PREAMBLE)
        return 0;
    const uint64_t file_bytes = get_u64(data + AT_FILE_BYTES);
    if (format_read_preamble(data, size, file_bytes, "fuzz", &header_bytes, &err) != BISE_OK ||
        header_bytes > size)
        return 0;
    uint8_t *copy = malloc(header_bytes);
    if (!copy)
        return 0;
    memcpy(copy, data, header_bytes);
    put_u32(copy + AT_HEADER_CRC, 0);
    put_u32(copy + AT_HEADER_CRC, crc32c(0, copy, header_bytes));
    if (format_read(&h, copy, header_bytes, file_bytes, "fuzz", &err) == BISE_OK) {
        struct bise_model m = {.config = h.config, .tensors = h.tensors, .n_tensors = h.n_tensors};
        check_rewritten(&h, copy);
        if (model_bind(&m, "fuzz", &err) == BISE_OK)
            model_unbind(&m);
        file_header_free(&h);
    }
    free(copy);
    return 0;
}
