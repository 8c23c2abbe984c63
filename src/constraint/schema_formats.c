/* Formats as regular expressions: RFC 3339, 5321, 1123, 2673, 4291, 3986, 4122, 6901. Each is what
 * validators agree on: where they differ, the narrower. */
#include "src/constraint/schema_strings.h"

#include <string.h>

#define H16   "[0-9A-Fa-f]{1,4}"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4  OCTET "(?:\\." OCTET "){3}"
#define LS32  "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                       \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32      \
    "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16             \
    ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16       \
    ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16   \
    ")?::)"

#define DATE                                                                                       \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]"    \
    "[0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|"         \
    "(?:[02468][048]|[13579][26])00)-02-29)"
#define TIME                                                                                       \
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):"   \
    "[0-5][0-9])"

#define LABEL "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
#define ATOM  "[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+"
#define EMAIL ATOM "(?:\\." ATOM ")*@(?:" LABEL "\\.)+" LABEL

/* Names in ASCII: none of the labels has hyphens as its third and fourth character, as those of
 * other scripts do (xn--), of which not all are valid. */
#define FIRST "[0-9A-Za-z]"
#define INNER "[0-9A-Za-z-]"
#define PLAIN_LABEL                                                                                \
    "(?:" FIRST "|" FIRST FIRST "|" FIRST INNER FIRST "|" FIRST INNER FIRST INNER "{0,59}" FIRST   \
    "|" FIRST INNER "-" FIRST "(?:" INNER "{0,58}" FIRST ")?)"
#define HOSTNAME "^" PLAIN_LABEL "(?:\\." PLAIN_LABEL ")*$"

#define PCT       "%[0-9A-Fa-f]{2}"
#define PCHAR     "(?:[0-9A-Za-z._~!$&'()*+,;=:@-]|" PCT ")"
#define NO_COLON  "(?:[0-9A-Za-z._~!$&'()*+,;=@-]|" PCT ")"
#define USER      "(?:[0-9A-Za-z._~!$&'()*+,;=:-]|" PCT ")"
#define NAME      "(?:[0-9A-Za-z._~!$&'()*+,;=-]|" PCT ")"
#define AUTHORITY "(?:" USER "*@)?(?:" NAME "+|\\[" IPV6 "\\])(?::[0-9]{1,5})?"
#define TAIL      "(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"
#define HIER                                                                                       \
    "(?://" AUTHORITY "(?:/" PCHAR "*)*|///" PCHAR "+(?:/" PCHAR "*)*|/" PCHAR "+(?:/" PCHAR       \
    "*)*|" PCHAR "+(?:/" PCHAR "*)*)"
#define URI "[A-Za-z][0-9A-Za-z+.-]*:" HIER TAIL
#define RELATIVE                                                                                   \
    "(?://" NAME "+(?::[0-9]{1,5})?(?:/" PCHAR "*)*|/(?:" PCHAR "+(?:/" PCHAR "*)*)?|" NO_COLON    \
    "+(?:/" PCHAR "*)*|)" TAIL
#define POINTER "(?:/(?:[^/~]|~[01])*)*"

#define CLOCK                                                                                      \
    "T(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S)"
#define DAYS   "[0-9]{1,9}D"
#define MONTHS "[0-9]{1,9}M(?:" DAYS ")?"

/* Regular expressions without nested groups, and with nothing in them that one of ECMA's could
 * refuse. */
#define R_CHAR "[0-9A-Za-z _,:;=@\"'#%&<>~!/.]"
#define R_ITEM                                                                                     \
    "(?:" R_CHAR                                                                                   \
    "|\\\\[dwsDWS.*+?()\\[\\]{}|^$/\\\\]|\\[\\^?(?:[0-9A-Za-z _.,:;@#%&/]|a-z|A-Z|0-9"             \
    "|\\\\[dws.\\[\\]/\\\\-])+\\])(?:[*+?]\\??|\\{[0-9]{1,3}\\}|\\{[0-9]{1,3},\\})?"
#define R_GROUP "\\((?:\\?:)?(?:" R_ITEM ")*(?:\\|(?:" R_ITEM ")*)*\\)[*+?]?"
#define REGEX   "\\^?(?:" R_ITEM "|" R_GROUP ")*(?:\\|(?:" R_ITEM "|" R_GROUP ")*)*\\$?"

static const struct {
    const char *name, *pattern;
    bool exact;
    uint32_t max; /* characters; 0: any number */
} formats[] = {
    {"date", "^(?!0000)" DATE "$", true, 0},
    {"time", "^" TIME "$", false, 0},
    {"date-time", "^(?!0000)" DATE "T" TIME "$", false, 0},
    {"duration",
     "^P(?:[0-9]{1,9}W|(?:[0-9]{1,9}Y(?:" MONTHS ")?|" MONTHS "|" DAYS ")(?:" CLOCK ")?|" CLOCK
     ")$",
     false, 0},
    {"email", "^" EMAIL "$", false, 0},
    {"idn-email", "^" EMAIL "$", false, 0},
    {"hostname", HOSTNAME, false, 253},
    {"idn-hostname", HOSTNAME, false, 253},
    {"ipv4", "^" IPV4 "$", true, 0},
    {"ipv6", "^" IPV6 "$", false, 0},
    {"uri", "^" URI "$", false, 0},
    {"url", "^(?:https?|ftp)://" LABEL "(?:\\." LABEL ")+(?::[0-9]{1,5})?(?:/" NO_COLON "*)*$",
     false, 0},
    {"iri", "^" URI "$", false, 0},
    {"uri-reference", "^(?:" URI "|" RELATIVE ")$", false, 0},
    {"iri-reference", "^(?:" URI "|" RELATIVE ")$", false, 0},
    {"uri-template", "^(?:" URI "|" RELATIVE ")$", false, 0},
    {"uuid", "^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$", true, 0},
    {"json-pointer", "^" POINTER "$", true, 0},
    {"relative-json-pointer", "^(?:0|[1-9][0-9]{0,8})(?:#|" POINTER ")$", false, 0},
    {"regex", "^" REGEX "$", false, 0},
    {"byte", "^(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$", false, 0},
};

#define N_FORMATS (sizeof formats / sizeof formats[0])
_Static_assert(N_FORMATS <= SCHEMA_MAX_FORMATS, "room for all formats");

bool schema_format(struct schema *s, const struct json_value *format, struct format *out) {
    struct budget *budget = &s->doc->budget;
    size_t i = 0, at;
    const char *fault;
    while (i < N_FORMATS && !json_is(format, formats[i].name))
        i++;
    if (i == N_FORMATS)
        return false;
    const char *const pattern = formats[i].pattern;
    struct automaton **kept = &s->doc->formats[i];
    if (!*kept)
        *kept = automaton_regex(pattern, strlen(pattern), REGEX_NARROW, budget, &fault, &at);
    if (!*kept)
        schema_too_much(s, format);
    *out =
        (struct format){*kept, formats[i].exact, formats[i].max ? formats[i].max : REPEAT_FOREVER};
    return true;
}
