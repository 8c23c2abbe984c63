/* The safetensors format: 8 bytes of header length, a JSON header, the data.
 * https://github.com/huggingface/safetensors */
#ifndef BISE_QUANT_SOURCE_SAFETENSORS_H
#define BISE_QUANT_SOURCE_SAFETENSORS_H

#include "quant/source/raw.h"
#include "src/base/json.h"

#define SAFETENSORS_MAX_HEADER 100000000u /* bytes, as in the reference implementation */

/* The length of the header from the first 8 bytes of a file of file_size bytes. Errors: FORMAT. */
enum bise_status safetensors_header_length(const uint8_t first[8], uint64_t file_size,
                                           const char *name, size_t *len, struct bise_error *err);
/* Adds the tensors of a parsed header to set, as of file number `file`. Names point into header.
 * Refused: offsets beyond the file, overlaps, gaps, sizes that do not agree with shape and dtype,
 * unknown dtypes. Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status safetensors_add(struct raw_set *set, unsigned file, const struct json *header,
                                 size_t header_len, uint64_t file_size, const char *name,
                                 struct bise_error *err);

#endif
