/* JSON (RFC 8259): a strict reader for untrusted text, and the escaping of strings. */
#ifndef BISE_SRC_BASE_JSON_H
#define BISE_SRC_BASE_JSON_H

#include "src/base/error.h"

#define JSON_MAX_DEPTH  128        /* arrays and objects inside each other */
#define JSON_MAX_VALUES (1u << 22) /* in one text: bounds the memory a hostile one can ask for */

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Values lie in one array in the order of the text, children right behind their parent. */
struct json_value {
    enum json_kind kind;
    bool boolean;
    bool is_integer; /* written without fraction and exponent, and within int64 */
    union {
        int64_t integer;
        const char *string; /* NUL-terminated UTF-8; may hold NULs before its end */
    };
    double number;      /* of integers too, rounded beyond 2^53 */
    const char *digits; /* a number as it was written, NUL-terminated; else NULL */
    size_t len;         /* bytes of the string; children of an array or object */
    const char *key;    /* NUL-terminated, inside an object; else NULL */
    size_t key_len;
    size_t span; /* values in this subtree, itself included */
};

struct json;

/* Parses one whole text (len bytes; nothing of it is kept). name is for messages, which say the
 * byte. Refused: what RFC 8259 refuses, invalid UTF-8, lone surrogates, numbers beyond double's
 * range, nesting beyond JSON_MAX_DEPTH. Errors: FORMAT, MEMORY. */
enum bise_status json_parse(struct json **out, const char *text, size_t len, const char *name,
                            struct bise_error *err);
/* Accepts NULL and a pointer to NULL. */
void json_close(struct json **j);

/* Values live until json_close. NULL for NULL. */
const struct json_value *json_root(const struct json *j);
/* Member of an object, the last one where a key comes twice. NULL if absent, or v is NULL or no
 * object. */
const struct json_value *json_get(const struct json_value *v, const char *key);
/* The same by a key of any bytes. */
const struct json_value *json_member(const struct json_value *v, const char *key, size_t len);
/* Children in order: json_first, then json_next of the last, until NULL. v may be anything. */
const struct json_value *json_first(const struct json_value *v);
const struct json_value *json_next(const struct json_value *parent, const struct json_value *child);
/* Whether v (may be NULL) is this string. */
bool json_is(const struct json_value *v, const char *string);
/* "null", "a string", ... for messages; "nothing" for NULL. */
const char *json_describe(const struct json_value *v);

/* Writes the string with its quotes and escapes to out (at most cap bytes, NUL included, cut where
 * it does not fit) and returns the length it has in full, without the NUL. Bytes that are not UTF-8
 * become U+FFFD. */
size_t json_escape(char *out, size_t cap, const char *string, size_t len);

/* A member that is true or false; what else there is, or nothing, counts as absent. */
bool json_flag(const struct json_value *object, const char *key, bool absent);

#endif
