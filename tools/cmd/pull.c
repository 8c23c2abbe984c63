/* bise pull: a checkpoint from a hub, exactly the files that are needed, by the system's curl. */
#include "src/base/json.h"
#include "src/base/sha256.h"
#include "src/os/file.h"
#include "src/os/lock.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_HUB  "https://huggingface.co"
#define MAX_LISTING  (8u << 20)
#define MAX_SMALL    (64u << 20) /* of a file that is none of weights */
#define MAX_SHARDS   99
#define MAX_FILES    (MAX_SHARDS + 12)
#define MAX_ATTEMPTS 6 /* of which each goes on where the one before broke off */
#define URL_BYTES    1024
#define GONE_ON      18 /* curl's exit code: the transfer was shorter than it should be */

struct remote_file {
    char name[64];   /* one of those we know, never a path of the listing's */
    char sha256[65]; /* "": a small file, which has none */
    uint64_t size;
};

struct pull {
    const char *name, *output, *quantize;
    bool remove_source;
    char repository[160], hub[256], folder[PATH_MAX];
    char model_name[128]; /* of the file that quantize makes */
    const char *token;    /* NULL: none */
    int lock;             /* of the folder: one pull at a time writes into it */
    bool loopback;
    struct remote_file files[MAX_FILES]; /* [n] */
    size_t n;
    uint64_t total, done;
    struct progress progress;
};

/* ---- what is asked for ---------------------------------------------------------------------- */

static const struct {
    const char *name, *repository;
} known[] = {
    {"mistral-7b-instruct-v0.3", "mistralai/Mistral-7B-Instruct-v0.3"},
    {"mistral-7b-instruct-v0.2", "mistralai/Mistral-7B-Instruct-v0.2"},
    {"mistral-7b-instruct-v0.1", "mistralai/Mistral-7B-Instruct-v0.1"},
    {"mistral-7b-v0.3", "mistralai/Mistral-7B-v0.3"},
    {"mistral-7b-v0.1", "mistralai/Mistral-7B-v0.1"},
    {"mixtral-8x7b-instruct-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1"},
    {"mixtral-8x7b-v0.1", "mistralai/Mixtral-8x7B-v0.1"},
};
#define N_KNOWN (sizeof known / sizeof known[0])

/* A name of a hub's: letters, digits, '.', '_' and '-', not beginning with '.'. */
static bool is_hub_name(const char *s, size_t n) {
    if (!n || n > 96 || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
            return false;
    return true;
}

static int choose_repository(struct pull *p) {
    const char *slash = strchr(p->name, '/');
    const char *from = p->name;
    for (size_t i = 0; i < N_KNOWN; i++)
        if (strcasecmp(p->name, known[i].name) == 0)
            from = known[i].repository;
    slash = strchr(from, '/');
    if (!slash || !is_hub_name(from, (size_t)(slash - from)) ||
        !is_hub_name(slash + 1, strlen(slash + 1))) {
        complain("expected owner/repository, or one of these, found \"%s\":", p->name);
        for (size_t i = 0; i < N_KNOWN; i++)
            say("  %-28s %s\n", known[i].name, known[i].repository);
        return EXIT_USAGE;
    }
    snprintf(p->repository, sizeof p->repository, "%s", from);
    snprintf(p->model_name, sizeof p->model_name, "%s", slash + 1);
    for (char *c = p->model_name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return EXIT_DONE;
}

/* "http://127.0.0.1" and "http://localhost", with a port or without. */
static bool is_loopback(const char *hub) {
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost"};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(hosts[i]);
        if (strncmp(hub, hosts[i], n) == 0 && (!hub[n] || hub[n] == ':'))
            return true;
    }
    return false;
}

static int choose_hub(struct pull *p) {
    const char *hub = getenv("BISE_HUB"), *token = getenv("HF_TOKEN");
    if (!hub || !hub[0])
        hub = DEFAULT_HUB;
    p->loopback = is_loopback(hub);
    const size_t n = strlen(hub);
    if ((!p->loopback && strncmp(hub, "https://", 8) != 0) || n >= sizeof p->hub ||
        strcspn(hub, " \t\"\\\n") != n)
        return refuse(EXIT_USAGE,
                      "BISE_HUB: expected an address that begins with https://, found "
                      "\"%s\"",
                      hub);
    snprintf(p->hub, sizeof p->hub, "%.*s", (int)(hub[n - 1] == '/' ? n - 1 : n), hub);
    for (const char *c = token; c && *c; c++)
        if (!isgraph((unsigned char)*c) || *c == '"' || *c == '\\')
            return refuse(EXIT_USAGE, "HF_TOKEN is no token: it holds a character of another kind");
    p->token = token && token[0] ? token : NULL;
    return EXIT_DONE;
}

static int choose_folder(struct pull *p) {
    char home[PATH_MAX];
    if (p->output)
        snprintf(p->folder, sizeof p->folder, "%s", p->output);
    else if (!models_home(home) || snprintf(p->folder, sizeof p->folder, "%s/sources/%s", home,
                                            p->model_name) >= PATH_MAX)
        return refuse(EXIT_USAGE, "no home for models: give a folder with -o");
    char with_slash[PATH_MAX + 1];
    snprintf(with_slash, sizeof with_slash, "%s/", p->folder);
    if (!p->output)
        models_home_make();
    for (char *slash = strchr(with_slash + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(with_slash, 0755) != 0 && errno != EEXIST)
            return refuse(errno == ENOSPC ? EXIT_MEMORY : EXIT_INPUT, "%s: %s", with_slash,
                          strerror(errno));
        *slash = '/';
    }
    return EXIT_DONE;
}

/* Two that fetch into one file would make a third of it. The lock goes on to curl: one that has
 * outlived its bise still writes. */
static int lock_folder(struct pull *p) {
    p->lock = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0)
        return refuse(EXIT_INPUT, "%s: %s", p->folder, strerror(errno));
    if (lock_file(p->lock, false, 0) != LOCK_BUSY)
        return EXIT_DONE;
    return refuse(EXIT_FAILED,
                  "%s: another bise pull, or the curl of one that was killed, is fetching into it; "
                  "the same command goes on when that has ended",
                  p->folder);
}

/* ---- curl ----------------------------------------------------------------------------------- */

/* Tells curl the token, by its standard input: no list of processes shows it. */
static void tell_token(const struct pull *p, int fd) {
    char line[4096];
    const int n = p->token ? snprintf(line, sizeof line, "oauth2-bearer = \"%s\"\n", p->token) : 0;
    if (n > 0 && (size_t)n < sizeof line && write(fd, line, (size_t)n) != n)
        complain("curl does not take the token");
    close(fd);
}

/* Starts curl; its exit code is to be waited for. What it writes to standard output, the status of
 * HTTP, goes to *status. -1: there is no curl. */
static pid_t start_curl(const struct pull *p, const char *url, const char *path, const char *limit,
                        int *status) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int input[2], output[2];
    pid_t child = -1;
    char *const argv[] = {"curl",
                          "--config",
                          "-",
                          "--silent",
                          "--show-error",
                          "--fail",
                          "--location",
                          "--max-redirs",
                          "5",
                          "--proto",
                          p->loopback ? "=http,https" : "=https",
                          "--proto-redir",
                          p->loopback ? "=http,https" : "=https",
                          "--connect-timeout",
                          "30",
                          "--speed-time",
                          "60",
                          "--speed-limit",
                          "1",
                          "--write-out",
                          "%{http_code}",
                          "--max-filesize",
                          (char *)(uintptr_t)limit,
                          "--continue-at",
                          "-",
                          "--output",
                          (char *)(uintptr_t)path,
                          "--",
                          (char *)(uintptr_t)url,
                          NULL};
    if (pipe2(input, O_CLOEXEC) != 0)
        return -1;
    if (pipe2(output, O_CLOEXEC) != 0) {
        close(input[0]);
        close(input[1]);
        return -1;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, p->lock, p->lock);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (posix_spawnp(&child, "curl", &actions, &attributes, argv, environ) != 0)
        child = -1;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(input[0]);
    close(output[1]);
    tell_token(p, input[1]);
    *status = output[0];
    return child;
}

static uint64_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Waits for curl, showing how path grows; its exit code, 255 where it was killed. */
static int wait_for_curl(struct pull *p, pid_t child, const char *path) {
    const struct timespec tenth = {.tv_nsec = 100000000};
    int status;
    for (;;) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
        if (ended < 0 && errno != EINTR)
            return 255;
        if (interrupted())
            kill(child, SIGTERM);
        if (p->total)
            progress_show(&p->progress, p->done + size_of(path), p->total);
        nanosleep(&tenth, NULL);
    }
}

/* Fetches url into path, going on with what is there. The status of HTTP in *http. Exit codes of
 * curl, or -1 where there is none. */
static int fetch(struct pull *p, const char *url, const char *path, uint64_t limit, int *http) {
    char text[16] = "", number[24];
    int output = -1;
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    const pid_t child = start_curl(p, url, path, number, &output);
    if (child < 0) {
        if (output >= 0)
            close(output);
        return -1;
    }
    const int code = wait_for_curl(p, child, path);
    const ssize_t n = read(output, text, sizeof text - 1);
    close(output);
    text[n > 0 ? n : 0] = 0;
    *http = atoi(text);
    return code;
}

/* What went wrong with a file, NULL: the listing; an exit code. */
static int explain_curl(const struct pull *p, const char *file, int code, int http) {
    const char *const what = file ? file : "the list of files";
    if (interrupted())
        return refuse(EXIT_INTERRUPTED,
                      "interrupted; what is there is kept, the same command goes on");
    if (code == -1 || code == 127)
        return refuse(EXIT_FAILED,
                      "this needs curl, which is not installed. By hand: put the files of "
                      "%s/%s into a folder, then bise quantize FOLDER -o NAME",
                      p->hub, p->repository);
    if (http == 401 || http == 403)
        return refuse(EXIT_INPUT,
                      "%s is only given to those who have accepted its terms. Open %s/%s in a "
                      "browser, accept them, make a token that may read (Settings, Access Tokens), "
                      "and say it as HF_TOKEN=hf_... bise pull %s%s",
                      p->repository, p->hub, p->repository, p->name,
                      p->token ? "; the token in HF_TOKEN was not taken" : "");
    if (http == 404)
        return refuse(EXIT_INPUT, "%s/%s: there is no %s", p->hub, p->repository,
                      file ? file : "such repository");
    if (http == 0 && code != 23)
        return refuse(EXIT_FAILED,
                      "%s could not be reached (curl ended with %d); the same command tries again",
                      p->hub, code);
    if (code == 23)
        return refuse(EXIT_MEMORY, "%s: %s could not be written; is the disk full?", p->folder,
                      what);
    return refuse(EXIT_FAILED,
                  "%s: curl ended with %d, the server's answer was %d; the same command "
                  "goes on where it was",
                  what, code, http);
}

/* ---- which files ---------------------------------------------------------------------------- */

static const struct json_value *find_listed(const struct json_value *list, const char *name) {
    for (const struct json_value *v = json_first(list); v; v = json_next(list, v))
        if (json_is(json_get(v, "path"), name) && json_is(json_get(v, "type"), "file"))
            return v;
    return NULL;
}

static bool is_hash(const struct json_value *v) {
    if (!v || v->kind != JSON_STRING || v->len != 64)
        return false;
    return strspn(v->string, "0123456789abcdef") == 64;
}

/* Adds the file of this name, if it is listed. */
static bool want(struct pull *p, const struct json_value *list, const char *name) {
    const struct json_value *const v = find_listed(list, name);
    const struct json_value *const size = json_get(v, "size");
    const struct json_value *const hash = json_get(json_get(v, "lfs"), "oid");
    if (!v || !size || size->kind != JSON_NUMBER || !size->is_integer || size->integer < 0 ||
        size->integer > (int64_t)1 << 40 || p->n == MAX_FILES)
        return false;
    struct remote_file *const f = &p->files[p->n++];
    *f = (struct remote_file){.size = (uint64_t)size->integer};
    snprintf(f->name, sizeof f->name, "%s", name);
    if (is_hash(hash))
        memcpy(f->sha256, hash->string, sizeof f->sha256);
    p->total += f->size;
    return true;
}

/* STEM-00001-of-0000N.ENDING and their index, or STEM.ENDING alone. */
static bool want_weights(struct pull *p, const struct json_value *list, const char *stem,
                         const char *ending) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", stem, ending);
    if (want(p, list, name))
        return true;
    for (unsigned n = 2; n <= MAX_SHARDS; n++) {
        snprintf(name, sizeof name, "%s-%05u-of-%05u.%s", stem, 1u, n, ending);
        if (!find_listed(list, name))
            continue;
        for (unsigned i = 1; i <= n; i++) {
            snprintf(name, sizeof name, "%s-%05u-of-%05u.%s", stem, i, n, ending);
            if (!want(p, list, name))
                return false;
        }
        snprintf(name, sizeof name, "%s.%s.index.json", stem, ending);
        return want(p, list, name);
    }
    return false;
}

static int choose_files(struct pull *p, const struct json_value *list) {
    static const char *const beside[] = {"tokenizer.model",   "tokenizer.model.v3",
                                         "tokenizer.json",    "tokenizer_config.json",
                                         "added_tokens.json", "generation_config.json"};
    const bool config = want(p, list, "config.json");
    bool weights = config && (want_weights(p, list, "model", "safetensors") ||
                              want_weights(p, list, "pytorch_model", "bin"));
    if (!weights)
        weights = want(p, list, "params.json") && want(p, list, "consolidated.safetensors");
    if (!weights)
        return refuse(EXIT_INPUT,
                      "%s/%s holds no checkpoint that bise reads: expected config.json with "
                      "model.safetensors or pytorch_model.bin, or params.json with "
                      "consolidated.safetensors",
                      p->hub, p->repository);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        (void)want(p, list, beside[i]);
    return EXIT_DONE;
}

static int read_listing(struct pull *p) {
    char url[URL_BYTES], path[PATH_MAX + 16];
    struct bise_error err = {0};
    struct json *json = NULL;
    uint8_t *data = NULL;
    size_t n = 0;
    int http = 0;
    snprintf(url, sizeof url, "%s/api/models/%s/tree/main", p->hub, p->repository);
    snprintf(path, sizeof path, "%s/.listing", p->folder);
    unlink(path);
    const int fetched = fetch(p, url, path, MAX_LISTING, &http);
    int code = fetched ? explain_curl(p, NULL, fetched, http) : EXIT_DONE;
    if (!code) {
        enum bise_status status = file_read_whole(path, MAX_LISTING, &data, &n, &err);
        if (!status)
            status = json_parse(&json, (const char *)data, n, "the hub's listing", &err);
        code = status ? report(status, &err) : choose_files(p, json_root(json));
    }
    json_close(&json);
    free(data);
    unlink(path);
    if (code && !p->output)
        rmdir(p->folder); /* unless something came before */
    return code;
}

/* ---- one file ------------------------------------------------------------------------------- */

/* Whether what came is what was listed; *is_wrong: it is known not to be. */
static int check_file(const struct remote_file *f, const char *path, bool *is_wrong) {
    struct bise_error err = {0};
    struct json *json = NULL;
    uint8_t *data = NULL;
    size_t n;
    *is_wrong = size_of(path) != f->size;
    if (*is_wrong)
        return refuse(EXIT_FAILED, "%s: expected %llu bytes, found %llu", f->name,
                      (unsigned long long)f->size, (unsigned long long)size_of(path));
    if (f->sha256[0]) {
        static uint8_t block[1 << 20];
        struct sha256 sha;
        char found[65];
        FILE *file = fopen(path, "rb");
        if (!file)
            return refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
        sha256_begin(&sha);
        while ((n = fread(block, 1, sizeof block, file)) > 0 && !interrupted())
            sha256_put(&sha, block, n);
        const int fault = ferror(file) ? errno : 0;
        fclose(file);
        sha256_end(&sha, found);
        if (interrupted())
            return EXIT_INTERRUPTED;
        if (fault)
            return refuse(EXIT_INPUT, "%s: reading failed: %s", path, strerror(fault));
        *is_wrong = strcmp(found, f->sha256) != 0;
        return *is_wrong ? refuse(EXIT_FAILED, "%s: expected SHA-256 %s, found %s", f->name,
                                  f->sha256, found)
                         : EXIT_DONE;
    }
    const size_t len = strlen(f->name);
    if (len < 5 || strcmp(f->name + len - 5, ".json") != 0)
        return EXIT_DONE;
    enum bise_status status = file_read_whole(path, MAX_SMALL, &data, &n, &err);
    if (!status)
        status = json_parse(&json, (const char *)data, n, f->name, &err);
    json_close(&json);
    free(data);
    *is_wrong = status && status != BISE_ERR_IO && status != BISE_ERR_MEMORY;
    return status ? report(status, &err) : EXIT_DONE;
}

static int pull_file(struct pull *p, const struct remote_file *f) {
    char url[URL_BYTES], path[PATH_MAX + 80], part[PATH_MAX + 96];
    int http = 0, fetched = GONE_ON;
    snprintf(url, sizeof url, "%s/%s/resolve/main/%s", p->hub, p->repository, f->name);
    snprintf(path, sizeof path, "%s/%s", p->folder, f->name);
    snprintf(part, sizeof part, "%s.part", path);
    if (file_exists(path) && size_of(path) == f->size) /* it was checked when it got its name */
        return EXIT_DONE;
    if (size_of(part) > f->size)
        unlink(part);
    for (int i = 0; i < MAX_ATTEMPTS && fetched && !interrupted(); i++) {
        const uint64_t before = size_of(part);
        if (before == f->size && before) {
            fetched = 0;
            break;
        }
        fetched = fetch(p, url, part, f->size > MAX_SMALL ? f->size : MAX_SMALL, &http);
        if (fetched == 33 || http == 416) /* the server gives no ranges: from the beginning */
            unlink(part);
        else if (fetched == -1 || fetched == 127 || fetched == 23 || (http >= 400 && http < 500))
            break;
        if (fetched && size_of(part) == before) { /* no progress: give it a moment */
            const struct timespec wait = {.tv_sec = p->loopback ? 0 : i, .tv_nsec = 1000000};
            nanosleep(&wait, NULL);
        }
    }
    if (!fetched && f->size == 0 && !file_exists(part))
        close(open(part, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    progress_end(&p->progress);
    bool is_wrong = false;
    int code = fetched ? explain_curl(p, f->name, fetched, http) : check_file(f, part, &is_wrong);
    if (code) {
        if (is_wrong) /* not to be gone on with */
            unlink(part);
        return code;
    }
    return rename(part, path) == 0 ? EXIT_DONE
                                   : refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Of what is to come, how much is there already. */
static uint64_t already_there(const struct pull *p) {
    uint64_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        char path[PATH_MAX + 96];
        snprintf(path, sizeof path, "%s/%s", p->folder, p->files[i].name);
        if (size_of(path) == p->files[i].size) {
            n += p->files[i].size;
            continue;
        }
        snprintf(path, sizeof path, "%s/%s.part", p->folder, p->files[i].name);
        const uint64_t part = size_of(path);
        n += part < p->files[i].size ? part : p->files[i].size;
    }
    return n;
}

static int check_disk(const struct pull *p) {
    struct statvfs fs;
    const uint64_t missing = p->total - already_there(p);
    const uint64_t file = p->quantize ? p->total / 3 : 0; /* 4 of 16 bits, and some in 8 */
    if (statvfs(p->folder, &fs) != 0)
        return EXIT_DONE; /* writing tells */
    const uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (missing + file <= room)
        return EXIT_DONE;
    return refuse(EXIT_MEMORY,
                  "%s: expected %.1f GB of free disk, found %.1f GB; -o FOLDER puts it "
                  "elsewhere",
                  p->folder, (double)(missing + file) / 1e9, (double)room / 1e9);
}

static int pull_all(struct pull *p) {
    int code = read_listing(p);
    if (!code)
        code = check_disk(p);
    if (code)
        return code;
    say("%s: %zu files, %.2f GB, into %s\n", p->repository, p->n, (double)p->total / 1e9,
        p->folder);
    progress_begin(&p->progress, "fetching");
    p->progress.skipped = already_there(p);
    for (size_t i = 0; i < p->n && !code; i++) {
        snprintf(p->progress.item, sizeof p->progress.item, "%s", p->files[i].name);
        code = pull_file(p, &p->files[i]);
        p->done += p->files[i].size;
    }
    progress_end(&p->progress);
    return code;
}

static void remove_source(const struct pull *p) {
    for (size_t i = 0; i < p->n; i++) {
        char path[PATH_MAX + 80];
        snprintf(path, sizeof path, "%s/%s", p->folder, p->files[i].name);
        unlink(path);
    }
    if (rmdir(p->folder) == 0)
        say("removed: %s\n", p->folder);
}

static int finish_pull(const struct pull *p) {
    if (!p->quantize) {
        say("next: bise quantize %s -o %s --type i4\n", p->folder, p->model_name);
        return EXIT_DONE;
    }
    const int code = quantize_to(p->folder, p->model_name, p->quantize);
    if (code)
        return code;
    if (p->remove_source)
        remove_source(p);
    say("next: bise chat %s\n", p->model_name);
    return EXIT_DONE;
}

int cmd_pull(int argc, char **argv) {
    static struct pull p;
    int code;
    const struct option_def defs[] = {
        {"-o|--output", OPT_STRING(&p.output), "FOLDER",
         "where the files go (default: sources/NAME in the models' home)"},
        {"--quantize", OPT_STRING(&p.quantize), "TYPE", "then make a .bise file: i4, i8, ..."},
        {"--rm", OPT_FLAG(&p.remove_source), "with --quantize: remove the source then"},
    };
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise pull NAME | OWNER/REPOSITORY [-o FOLDER] [--quantize TYPE [--rm]]",
                       &p.name, 1, &code))
        return code;
    if (!p.name)
        p.name = "";
    if (p.remove_source && !p.quantize)
        return refuse(EXIT_USAGE, "--rm goes with --quantize");
    if (p.quantize && strcmp(p.quantize, "i4") != 0 && strcmp(p.quantize, "i8") != 0 &&
        strcmp(p.quantize, "bf16") != 0 && strcmp(p.quantize, "f32") != 0)
        return refuse(EXIT_USAGE, "--quantize: expected i4, i8, bf16 or f32, found \"%s\"",
                      p.quantize);
    interrupt_catch();
    code = choose_repository(&p);
    if (!code)
        code = choose_hub(&p);
    if (!code)
        code = choose_folder(&p);
    if (!code)
        code = lock_folder(&p);
    if (!code)
        code = pull_all(&p);
    return code ? code : finish_pull(&p);
}
