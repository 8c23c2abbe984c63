#include "tools/common/model_path.h"

#include "src/os/clock.h"
#include "tools/common/interrupt.h"
#include "tools/common/nearest.h"
#include "tools/common/output.h"
#include "tools/common/user_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BISE_ENDING ".bise"

/* ---- the models' home ------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *ending) {
    const size_t n = strlen(text), n_ending = strlen(ending);
    return n >= n_ending && strcasecmp(text + n - n_ending, ending) == 0;
}

bool models_home(char folder[PATH_MAX]) {
    const char *const own = getenv("BISE_MODELS");
    if (!own || !own[0])
        return user_file(folder, USER_DATA, "models");
    return snprintf(folder, PATH_MAX, "%s", own) < PATH_MAX;
}

bool models_home_file(char path[PATH_MAX], const char *name) {
    char folder[PATH_MAX];
    if (!name[0] || strchr(name, '/') || strlen(name) > NAME_MAX || !models_home(folder))
        return false;
    const int n = snprintf(path, PATH_MAX, "%s/%s%s", folder, name,
                           ends_with(name, BISE_ENDING) ? "" : BISE_ENDING);
    return n > 0 && n < PATH_MAX;
}

const char *model_or_source(char path[PATH_MAX], const char *asked) {
    const bool home = access(asked, F_OK) != 0 && models_home_file(path, asked);
    return home && access(path, F_OK) == 0 ? path : asked;
}

bool models_home_make(void) {
    char folder[PATH_MAX];
    if (!models_home(folder))
        return false;
    make_folders_for(folder);
    return mkdir(folder, 0700) == 0 || errno == EEXIST;
}

void model_path_used(const char *path) {
    char folder[PATH_MAX];
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    if (models_home(folder) && strncmp(path, folder, strlen(folder)) == 0)
        utimensat(AT_FDCWD, path, times, 0);
}

/* ---- the demo model -------------------------------------------------------------------------- */

/* Takes "NAME/../" out of a path of the program's own. */
static void drop_parents(char *path) {
    for (char *up = strstr(path, "/../"); up; up = strstr(path, "/../")) {
        *up = 0;
        char *const slash = strrchr(path, '/');
        char *const to = slash ? slash : path;
        memmove(to, up + 3, strlen(up + 3) + 1);
    }
}

static const char *demo_path(void) {
    static char path[PATH_MAX];
    static const char *const beside_program[] = {"/../models/demo.bise",
                                                 "/../share/bise/demo.bise"};
    char folder[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (len <= 0)
        return NULL;
    folder[len] = 0;
    char *slash = strrchr(folder, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    for (size_t i = 0; i < sizeof beside_program / sizeof beside_program[0]; i++) {
        const int n = snprintf(path, sizeof path, "%s%s", folder, beside_program[i]);
        if (n <= 0 || (size_t)n >= sizeof path || access(path, R_OK) != 0)
            continue;
        drop_parents(path);
        char here[PATH_MAX]; /* shorter, where it lies below the current folder */
        const size_t n_here = getcwd(here, sizeof here) ? strlen(here) : 0;
        const bool below = n_here > 1 && strncmp(path, here, n_here) == 0 && path[n_here] == '/';
        return below ? path + n_here + 1 : path;
    }
    return NULL;
}

const char *default_model_path(void) {
    const char *from_user = getenv("BISE_MODEL");
    return from_user && from_user[0] ? from_user : demo_path();
}

bool model_is_demo(const char *path) {
    const char *const demo = demo_path();
    struct stat a, b;
    return demo && stat(demo, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* ---- what a path is -------------------------------------------------------------------------- */

/* The likest file of the folder that the missing path names, or of the models' home; false: none
 * is near. */
static bool find_near(const char *missing, char found[PATH_MAX]) {
    const char *slash = strrchr(missing, '/');
    const char *name = slash ? slash + 1 : missing;
    char folders[2][PATH_MAX];
    snprintf(folders[0], PATH_MAX, "%.*s", slash ? (int)(slash - missing) + 1 : 1,
             slash ? missing : ".");
    const size_t n_folders = 1 + (!slash && models_home(folders[1]));
    for (size_t i = 0; i < n_folders; i++) {
        char best[NAME_MAX + 1] = "";
        size_t distance = 0;
        DIR *dir = opendir(folders[i]);
        if (!dir)
            continue;
        for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
            struct nearest near = {.word = name, .len = strlen(name)};
            char shown[NAME_MAX + 1];
            snprintf(shown, sizeof shown, "%s", e->d_name);
            if (!ends_with(shown, BISE_ENDING))
                continue;
            if (!ends_with(name, BISE_ENDING))
                shown[strlen(shown) - strlen(BISE_ENDING)] = 0;
            nearest_offer(&near, shown);
            if (!near.best || (best[0] && near.distance >= distance))
                continue;
            distance = near.distance;
            snprintf(best, sizeof best, "%s", shown);
        }
        closedir(dir);
        if (best[0])
            return snprintf(found, PATH_MAX, "%.*s%s", slash ? (int)(slash - missing) + 1 : 0,
                            missing, best) < PATH_MAX;
    }
    return false;
}

/* Whether the folder has a file of this name. */
static bool has(const char *folder, const char *name) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX && access(path, F_OK) == 0;
}

static bool is_checkpoint_folder(const char *path) {
    return has(path, "config.json") || has(path, "params.json");
}

/* What a file that begins with these bytes is, if it is known and no model; NULL. */
static const char *kind_of(const char head[16], size_t n) {
    static const struct {
        const char *magic;
        size_t len;
        const char *kind;
    } kinds[] = {
        {"BISES\r\n\x1a", 8, "a session of bise chat; go on with --session FILE"},
        {"BISEJ\r\n\x1a", 8, "the journal of a session, which --session reads by itself"},
        {"BISEKL\n\x1a", 8, "predictions kept by bise perplexity --kl-base; give them as --kl"},
        {"BISESTA\n", 8, "statistics of bise calibrate; bise quantize takes them as --calib"},
        {"BISEJNL\n", 8, "the journal of a bise quantize that is not done"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (n >= kinds[i].len && memcmp(head, kinds[i].magic, kinds[i].len) == 0)
            return kinds[i].kind;
    return NULL;
}

/* The name that a checkpoint's file is given: that of its last part, without an ending. */
static void name_for(const char *source, char name[NAME_MAX + 1]) {
    size_t n = strlen(source);
    while (n > 1 && source[n - 1] == '/')
        n--;
    size_t from = n;
    while (from && source[from - 1] != '/')
        from--;
    snprintf(name, NAME_MAX + 1, "%.*s", (int)(n - from < 200 ? n - from : 200), source + from);
    if (ends_with(name, ".gguf"))
        name[strlen(name) - 5] = 0;
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        snprintf(name, NAME_MAX + 1, "model");
}

int quantize_to(const char *source, const char *name, const char *type) {
    extern char **environ;
    char *const argv[] = {"bise",
                          "quantize",
                          (char *)(uintptr_t)source,
                          "-o",
                          (char *)(uintptr_t)name,
                          "--type",
                          (char *)(uintptr_t)type,
                          NULL};
    pid_t child, ended;
    bool told = false;
    int status;
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
        return refuse(EXIT_FAILED, "bise quantize cannot be run: %s", strerror(errno));
    for (;;) {
        ended = waitpid(child, &status, WNOHANG);
        if (ended != 0 && !(ended < 0 && errno == EINTR))
            break;
        if (interrupted() && !told) /* once: a second time would end it at once */
            told = kill(child, SIGTERM) == 0;
        seconds_wait(0.1);
    }
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* Offers to make a file of a checkpoint. The file's path, or NULL. */
static const char *offer_quantize(const char *source, const char *name) {
    static char path[PATH_MAX];
    char line[16];
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || !models_home_file(path, name))
        return NULL;
    say("Make that file now, with 4-bit weights? [y/N] ");
    if (!fgets(line, sizeof line, stdin) || (line[0] != 'y' && line[0] != 'Y'))
        return NULL;
    return quantize_to(source, name, "i4") == EXIT_DONE ? path : NULL;
}

/* A checkpoint where a .bise file was wanted. */
static int explain_checkpoint(const char *path, const char *what, const char **file) {
    char name[NAME_MAX + 1];
    name_for(path, name);
    const int code = refuse(EXIT_INPUT,
                            "%s is %s, not a .bise file. Make one of it, once:\n"
                            "  bise quantize %s -o %s\nthen use it as -m %s",
                            path, what, path, name, name);
    *file = offer_quantize(path, name);
    return *file ? EXIT_DONE : code;
}

/* Says why path is no .bise file, if that can be seen from outside; else *file is path. */
static int explain(const char *path, const char **file) {
    char head[16] = "", near[PATH_MAX];
    struct stat st;
    *file = NULL;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT && find_near(path, near))
            return refuse(EXIT_INPUT, "%s: there is no such file or model; do you mean %s?", path,
                          near);
        if (errno == ENOENT)
            return refuse(EXIT_INPUT,
                          "%s: there is no such file or model; bise list shows the models there "
                          "are, bise pull fetches one",
                          path);
        return refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode) && is_checkpoint_folder(path))
        return explain_checkpoint(path, "the folder of a checkpoint", file);
    if (S_ISDIR(st.st_mode))
        return refuse(EXIT_INPUT,
                      "%s is a folder without a model in it: expected a .bise file, or a folder "
                      "with config.json or params.json for bise quantize",
                      path);
    if (!S_ISREG(st.st_mode))
        return refuse(EXIT_INPUT, "%s: expected a regular file", path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : pread(fd, head, sizeof head, 0);
    if (fd >= 0)
        close(fd);
    const char *const kind = n > 0 ? kind_of(head, (size_t)n) : NULL;
    if (kind)
        return refuse(EXIT_INPUT, "%s is %s", path, kind);
    if (n >= 4 && memcmp(head, "GGUF", 4) == 0)
        return explain_checkpoint(path, "a GGUF file", file);
    if (ends_with(path, ".safetensors") || ends_with(path, ".pth") || ends_with(path, ".bin")) {
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
                 slash ? path : ".");
        return refuse(EXIT_INPUT,
                      "%s holds weights of a checkpoint, not a .bise file. Its folder is what "
                      "bise quantize takes:\n  bise quantize %s -o NAME",
                      path, folder);
    }
    *file = path;
    return EXIT_DONE;
}

const char *model_path(const char *asked, int *code) {
    static char home[PATH_MAX];
    *code = EXIT_DONE;
    if (!asked && !(asked = default_model_path())) {
        *code = refuse(EXIT_USAGE, "no model: give one with -m FILE or in BISE_MODEL");
        return NULL;
    }
    struct stat st;
    const bool here = stat(asked, &st) == 0 && S_ISREG(st.st_mode);
    if (!here && models_home_file(home, asked) && access(home, F_OK) == 0)
        asked = home;
    const char *path;
    *code = explain(asked, &path);
    return path;
}

const char *model_given(const char *by_option, const char *argument, int *code) {
    if (by_option && argument) {
        *code = refuse(EXIT_USAGE, "expected one model, found -m %s and %s", by_option, argument);
        return NULL;
    }
    return model_path(by_option ? by_option : argument, code);
}
