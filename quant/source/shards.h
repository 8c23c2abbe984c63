/* Files that make up one set, by their names: NAME-00002-of-00003.safetensors. Internal to
 * quant/source. */
#ifndef BISE_QUANT_SOURCE_SHARDS_H
#define BISE_QUANT_SOURCE_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_SHARDS 1000u

/* A name taken apart: its first `stem` bytes, "-", no, "-of-", n, and end (".safetensors"). */
struct shard_name {
    size_t stem;
    unsigned no, n;  /* 1 <= no <= n <= MAX_SHARDS */
    const char *end; /* inside the name */
};

bool shard_parse(const char *name, struct shard_name *out);
/* The name of shard number no of the same set. out [cap]; false where it does not fit. */
bool shard_print(const char *name, const struct shard_name *s, unsigned no, char *out, size_t cap);

#endif
