/* bise set: changes what a .bise file's header says, without touching a weight. */
#include "src/base/error.h"
#include "src/model/format.h"
#include "src/os/file.h"
#include "src/os/new_file.h"
#include "src/text/chat_format.h"
#include "src/text/tokenizer.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define MAX_TOKENIZER (64u << 20)
#define PIECE         (1u << 20)

struct change {
    const char *path, *chat, *tokenizer, *name;
    int64_t window; /* -1: stays */
    struct file_header h;
    struct model_config before; /* of the file as it is, and its name */
    char name_before[FORMAT_NAME_MAX + 1];
    int fd;                         /* of the file as it is */
    uint64_t *places;               /* [h.n_tensors]: where tensors lie in it */
    uint8_t *old_header, *bundled;  /* bundled: the tokenizer that is given, or NULL */
    const uint8_t *tokenizer_bytes; /* the one that will be in it */
};

static enum bise_status read_header(struct change *c, struct bise_error *err) {
    uint64_t size, header_bytes;
    enum bise_status s = file_open(c->path, &c->fd, &size, err);
    if (s)
        return s;
    uint8_t preamble[FORMAT_PREAMBLE];
    size_t got;
    s = file_read_upto(c->fd, c->path, 0, preamble, sizeof preamble, &got, err);
    if (!s)
        s = format_read_preamble(preamble, got, size, c->path, &header_bytes, err);
    if (s)
        return s;
    c->old_header = malloc((size_t)header_bytes);
    if (!c->old_header)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its header", c->path);
    s = file_read_at(c->fd, c->path, 0, c->old_header, (size_t)header_bytes, err);
    if (!s)
        s = format_read(&c->h, c->old_header, (size_t)header_bytes, size, c->path, err);
    if (s)
        return s;
    c->tokenizer_bytes = c->old_header + c->h.tokenizer_offset;
    c->places = malloc((c->h.n_tensors + 1) * sizeof *c->places);
    if (!c->places)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its header", c->path);
    for (uint32_t i = 0; i < c->h.n_tensors; i++)
        c->places[i] = c->h.tensors[i].offset;
    return BISE_OK;
}

/* A tokenizer.model in place of the one there is. */
static enum bise_status take_tokenizer(struct change *c, struct bise_error *err) {
    struct tokenizer *t = NULL;
    size_t n;
    enum bise_status s = file_read_whole(c->tokenizer, MAX_TOKENIZER, &c->bundled, &n, err);
    if (!s)
        s = tokenizer_open(&t, c->bundled, n, c->tokenizer, err);
    if (!s && tokenizer_size(t) > c->h.config.vocab_size)
        s = bise_fail(err, BISE_ERR_ARG, "%s: expected at most the model's %u pieces, found %zu",
                      c->tokenizer, c->h.config.vocab_size, tokenizer_size(t));
    tokenizer_close(&t);
    c->h.tokenizer_bytes = s ? c->h.tokenizer_bytes : n;
    c->tokenizer_bytes = s ? c->tokenizer_bytes : c->bundled;
    return s;
}

static enum bise_status change_header(struct change *c, struct bise_error *err) {
    c->before = c->h.config;
    snprintf(c->name_before, sizeof c->name_before, "%s", c->h.provenance.name);
    if (c->chat) {
        c->h.config.chat = chat_format_from_name(c->chat);
        if (c->h.config.chat == CHAT_FORMAT_COUNT || c->h.config.chat == CHAT_UNKNOWN)
            return bise_fail(
                err, BISE_ERR_ARG,
                "--chat-format: expected v1, v3, chatml, zephyr, llama2 or none, found "
                "\"%s\"",
                c->chat);
    }
    if (c->window >= 0)
        c->h.config.window = (uint32_t)c->window;
    if (c->name && (strlen(c->name) > FORMAT_NAME_MAX || strchr(c->name, '\n') ||
                    format_text_bad_at(c->name, strlen(c->name)) < strlen(c->name)))
        return bise_fail(err, BISE_ERR_ARG, "--name: expected a line of at most %u bytes of UTF-8",
                         FORMAT_NAME_MAX);
    if (c->name)
        snprintf(c->h.provenance.name, sizeof c->h.provenance.name, "%s", c->name);
    enum bise_status s = c->tokenizer ? take_tokenizer(c, err) : BISE_OK;
    if (!s)
        s = config_check(&c->h.config, c->path, err);
    return s ? s : format_place(&c->h, err);
}

static enum bise_status check_room(const struct change *c, struct bise_error *err) {
    struct statvfs fs;
    char *const folder = file_folder(c->path);
    const bool known = folder && statvfs(folder, &fs) == 0;
    free(folder);
    if (!known || (uint64_t)fs.f_bavail * fs.f_frsize >= c->h.file_bytes)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_DISK,
                     "%s: the file is written anew beside the old one: expected %.2f GB of free "
                     "disk, found %.2f GB",
                     c->path, (double)c->h.file_bytes / 1e9,
                     (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
}

/* Zeros up to offset `to`. */
static enum bise_status write_gap(struct new_file *f, uint64_t *at, uint64_t to,
                                  struct bise_error *err) {
    static const uint8_t zeros[FORMAT_ALIGN];
    enum bise_status s = BISE_OK;
    for (; !s && *at < to; *at += to - *at < FORMAT_ALIGN ? to - *at : FORMAT_ALIGN)
        s = new_file_write(f, zeros, (size_t)(to - *at < FORMAT_ALIGN ? to - *at : FORMAT_ALIGN),
                           err);
    return s;
}

static enum bise_status copy_tensors(const struct change *c, struct new_file *f,
                                     struct bise_error *err) {
    uint8_t *const piece = malloc(PIECE);
    uint64_t at = c->h.header_bytes;
    enum bise_status s =
        piece ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory to copy it", c->path);
    for (uint32_t i = 0; i < c->h.n_tensors && !s; i++) {
        const struct tensor *const t = &c->h.tensors[i];
        s = write_gap(f, &at, t->offset, err);
        for (uint64_t done = 0; done < t->length && !s;) {
            const size_t n = t->length - done < PIECE ? (size_t)(t->length - done) : PIECE;
            s = file_read_at(c->fd, c->path, c->places[i] + done, piece, n, err);
            if (!s)
                s = new_file_write(f, piece, n, err);
            done += n;
            at += n;
        }
    }
    free(piece);
    return s ? s : write_gap(f, &at, c->h.file_bytes, err);
}

static enum bise_status write_anew(const struct change *c, struct bise_error *err) {
    struct new_file f = {.fd = -1};
    uint8_t *const header = calloc(1, (size_t)c->h.header_bytes);
    enum bise_status s = header ? new_file_create(&f, c->path, NEW_FILE_SHARED, err)
                                : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", c->path);
    if (!s) {
        memcpy(header + c->h.tokenizer_offset, c->tokenizer_bytes, (size_t)c->h.tokenizer_bytes);
        format_write(&c->h, header);
        s = new_file_write(&f, header, (size_t)c->h.header_bytes, err);
    }
    if (!s)
        s = copy_tensors(c, &f, err);
    if (!s)
        s = new_file_finish(&f, err);
    new_file_abort(&f);
    free(header);
    return s;
}

static const char *window_text(char text[32], uint32_t window) {
    if (!window)
        return "none";
    snprintf(text, 32, "%u tokens", window);
    return text;
}

/* What has been set, and what it was. */
static void say_changes(const struct change *c) {
    char now[32], before[32];
    say("%s: set\n", c->path);
    if (c->chat)
        say("  chat format  %s (it was %s)\n", chat_format_name(c->h.config.chat),
            c->before.chat == CHAT_UNKNOWN ? "unknown" : chat_format_name(c->before.chat));
    if (c->window >= 0)
        say("  window       %s (it was %s)\n", window_text(now, c->h.config.window),
            window_text(before, c->before.window));
    if (c->name)
        say("  name         %s (it was %s)\n", *c->name ? c->name : "none",
            c->name_before[0] ? c->name_before : "none");
    if (c->tokenizer)
        say("  tokenizer    %s\n", c->tokenizer);
}

int cmd_set(int argc, char **argv) {
    struct change c = {.window = -1, .fd = -1};
    struct bise_error err = {0};
    const char *given = NULL, *argument = NULL;
    int code;
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING(&given), "FILE", "the .bise file, which may stand alone"},
        {"--chat-format", OPT_STRING(&c.chat), "NAME", "v1, v3, chatml, zephyr, llama2 or none"},
        {"--window", OPT_INT(&c.window, 0, 1 << 30), "N", "sliding window in tokens, 0: none"},
        {"--name", OPT_STRING(&c.name), "TEXT",
         "what it is called, by bise serve too; empty: as its file"},
        {"--tokenizer", OPT_STRING(&c.tokenizer), "FILE", "a tokenizer.model in place of its own"},
    };
    if (!options_parse(
            argc, argv, defs, sizeof defs / sizeof defs[0],
            "bise set MODEL [--chat-format NAME] [--window N] [--name TEXT] [--tokenizer FILE]",
            &argument, 1, &code))
        return code;
    if (!given && !argument)
        return refuse(EXIT_USAGE, "expected one MODEL (see bise set --help)");
    if (!c.chat && c.window < 0 && !c.tokenizer && !c.name)
        return refuse(EXIT_USAGE, "expected what is to be set: --chat-format, --window, --name or "
                                  "--tokenizer");
    if ((c.path = model_given(given, argument, &code)) == NULL)
        return code;
    enum bise_status s = read_header(&c, &err);
    if (!s)
        s = change_header(&c, &err);
    if (!s)
        s = check_room(&c, &err);
    if (!s)
        s = write_anew(&c, &err);
    code = s ? report(s, &err) : EXIT_DONE;
    if (!code)
        say_changes(&c);
    file_close(&c.fd);
    file_header_free(&c.h);
    free(c.places);
    free(c.old_header);
    free(c.bundled);
    return code;
}
