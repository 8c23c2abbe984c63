/* A bounded reader of protocol buffers' wire format: enough for tokenizer.model. Nothing is copied;
 * every length is checked against the bytes that are there. */
#ifndef BISE_SRC_TEXT_PROTOBUF_H
#define BISE_SRC_TEXT_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

struct pb_reader {
    const uint8_t *at, *end;
};

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t value;      /* VARINT, FIXED64, FIXED32 */
    const uint8_t *data; /* BYTES: inside the reader's bytes */
    size_t len;          /* BYTES */
};

enum pb_result {
    PB_END,   /* nothing is left */
    PB_FIELD, /* *f is the next field */
    PB_BAD    /* cut short, or a wire type that does not exist (groups count as such) */
};

struct pb_reader pb_open(const void *data, size_t len);
enum pb_result pb_next(struct pb_reader *r, struct pb_field *f);
/* The float of a FIXED32 field. */
float pb_float(const struct pb_field *f);

#endif
