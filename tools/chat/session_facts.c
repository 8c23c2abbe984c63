#include "tools/chat/session_facts.h"

#include "src/base/utf8.h"
#include "src/os/file.h"
#include "src/store/session_file.h"
#include "tools/chat/journal.h"
#include "tools/chat/session_records.h"
#include "tools/common/output.h"
#include "tools/common/width.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_BYTES     ((size_t)1 << 30)
#define FIRST_WORDS       60
#define FIRST_WORDS_BYTES (64u << 20) /* of a journal that is looked into for them */

void print_words(FILE *to, const char *text, size_t len, size_t cols) {
    size_t col = 0;
    for (size_t at = 0, n; at < len && col < cols; at += n) {
        char shown[CHAR_SHOWN_MAX];
        size_t n_shown = 1;
        n = char_length(text + at, len - at);
        shown[0] = ' ';
        col += text[at] == '\n' ? 1 : char_shown(text + at, n, shown, &n_shown);
        fwrite(shown, 1, n_shown, to);
    }
}

/* The first eight bytes. */
static bool read_magic(const char *path, char magic[8]) {
    uint64_t size;
    int fd = -1;
    const bool good = file_open(path, &fd, &size, NULL) == BISE_OK &&
                      file_read_at(fd, path, 0, magic, 8, NULL) == BISE_OK;
    file_close(&fd);
    return good;
}

static bool is_journal(const char magic[8]) {
    return memcmp(magic, JOURNAL_MAGIC, 8) == 0;
}

bool is_session(const char *path) {
    char magic[8];
    return read_magic(path, magic) && (is_journal(magic) || memcmp(magic, SESSION_MAGIC, 8) == 0);
}

/* The records [*n] of a session's file, or its journal; the caller's. */
static enum bise_status read_records(const char *path, uint8_t **data, size_t *n,
                                     struct session_header *h, struct bise_error *err) {
    uint8_t header[SESSION_HEADER];
    uint64_t size;
    size_t got;
    int fd = -1;
    enum bise_status s = file_open(path, &fd, &size, err);
    if (!s)
        s = file_read_upto(fd, path, 0, header, sizeof header, &got, err);
    if (!s)
        s = session_header_read(h, header, got, path, err);
    if (!s)
        s = session_check_length(h, size, path, err);
    *n = s ? 0 : (size_t)h->note_bytes;
    *data = malloc(*n + 1);
    if (!s && !*data)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its note", path);
    if (!s)
        s = file_read_at(fd, path, SESSION_HEADER, *data, *n, err);
    file_close(&fd);
    return s;
}

void session_print_first_words(FILE *to, const char *path, size_t cols) {
    char journal[PATH_MAX + 16];
    struct session_header h;
    struct bise_error err;
    struct record r;
    uint8_t *data = NULL;
    size_t n = 0, at = 0;
    if (read_records(path, &data, &n, &h, &err) != BISE_OK) {
        free(data);
        data = NULL;
        at = 8;
        snprintf(journal, sizeof journal, "%s.journal", path);
        if (file_read_whole(journal, FIRST_WORDS_BYTES, &data, &n, &err) != BISE_OK)
            n = 0;
    }
    while (n > at && records_next(&r, data, n, &at)) {
        if (r.kind != CHAT_EV_USER)
            continue;
        const char *const text = (const char *)r.data;
        if (utf8_invalid_at(text, r.len) == r.len)
            print_words(to, text, r.len, cols);
        break;
    }
    free(data);
}

static void print_records(const uint8_t *data, size_t n) {
    struct session_identity identity;
    enum chat_format format;
    struct record r, first = {.data = NULL};
    size_t at = 0, n_user = 0, n_answers = 0;
    if (records_identity(data, n, &identity, &format))
        print("model        %s\nchat format  %s\n", identity.model_name, chat_format_name(format));
    while (records_next(&r, data, n, &at)) {
        if (r.kind == CHAT_EV_USER && !n_user++)
            first = r;
        n_answers += r.kind == CHAT_EV_ANSWER || r.kind == CHAT_EV_TEXT;
    }
    print("messages     %zu of yours, %zu answer%s (those taken back included)\n", n_user,
          n_answers, n_answers == 1 ? "" : "s");
    if (first.data && utf8_invalid_at((const char *)first.data, first.len) == first.len) {
        print("begins with  ");
        print_words(stdout, (const char *)first.data, first.len, FIRST_WORDS);
        print("\n");
    }
    if (at < n)
        print("the last %zu bytes are not whole\n", n - at);
}

int session_print(const char *path) {
    struct bise_error err = {0};
    struct session_header h;
    uint8_t *data = NULL;
    char magic[8] = "";
    size_t n = 0;
    const bool journal = read_magic(path, magic) && is_journal(magic);
    const enum bise_status s = journal ? file_read_whole(path, JOURNAL_BYTES, &data, &n, &err)
                                       : read_records(path, &data, &n, &h, &err);
    if (!s) {
        print("%s: %s of bise chat\n\n", path, journal ? "the journal of a session" : "a session");
        if (!journal)
            print("cache        %llu tokens, %.1f MB\n", (unsigned long long)h.pos,
                  (double)h.file_bytes / 1e6);
        print_records(journal ? data + 8 : data, journal ? n - 8 : n);
    }
    free(data);
    return s ? report(s, &err) : EXIT_DONE;
}
