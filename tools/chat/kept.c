#include "tools/chat/kept.h"

#include "src/base/array.h"
#include "src/os/file.h"
#include "src/os/lock.h"
#include "tools/chat/journal.h"
#include "tools/chat/session_facts.h"
#include "tools/chat/session_records.h"
#include "tools/common/output.h"
#include "tools/common/user_folder.h"
#include "tools/common/wrap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define JOURNAL_ENDING ".journal"
#define MODEL_ENDING   ".model"
#define AUTO_BEGINNING "chat-" /* of the names that bise gives */
#define FIRST_WORDS    48      /* columns of a list */

bool kept_path(char path[PATH_MAX], const char *name) {
    char below[NAME_MAX + 16];
    if (!name[0] || name[0] == '.' || strchr(name, '/') || strlen(name) > 200)
        return false;
    snprintf(below, sizeof below, "chats/%s", name);
    if (!user_file(path, USER_STATE, below))
        return false;
    make_folders_for(path);
    return true;
}

/* ---- what is there -------------------------------------------------------------------------- */

struct kept {
    char name[NAME_MAX + 1];
    struct timespec used;
};

struct kept_chats {
    struct kept *items; /* [n], the last used first; freed by the caller */
    size_t n, cap;
};

static bool cut_ending(char *name, const char *ending) {
    const size_t n = strlen(name), n_ending = strlen(ending);
    if (n <= n_ending || strcmp(name + n - n_ending, ending) != 0)
        return false;
    name[n - n_ending] = 0;
    return true;
}

/* A session is its file, its journal, or both: one item, as new as the newer. */
static void add_kept(struct kept_chats *all, const char *name, const struct timespec *used) {
    size_t i = 0;
    while (i < all->n && strcmp(all->items[i].name, name) != 0)
        i++;
    if (!array_grow(&all->items, &all->cap, i + 1, sizeof *all->items))
        return;
    struct kept *const k = &all->items[i];
    const bool newer = i == all->n || used->tv_sec > k->used.tv_sec ||
                       (used->tv_sec == k->used.tv_sec && used->tv_nsec > k->used.tv_nsec);
    if (newer)
        k->used = *used;
    if (i == all->n)
        snprintf(all->items[all->n++].name, sizeof all->items->name, "%s", name);
}

static int by_use(const void *a, const void *b) {
    const struct kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? 1 : -1;
    return strcmp(y->name, x->name);
}

static struct kept_chats kept_all(void) {
    struct kept_chats all = {.n = 0};
    char folder[PATH_MAX];
    DIR *dir = user_file(folder, USER_STATE, "chats") ? opendir(folder) : NULL;
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        char name[NAME_MAX + 1];
        struct stat st;
        snprintf(name, sizeof name, "%s", e->d_name);
        if (name[0] == '.' || cut_ending(name, MODEL_ENDING) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        cut_ending(name, JOURNAL_ENDING);
        add_kept(&all, name, &st.st_mtim);
    }
    if (dir)
        closedir(dir);
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, by_use);
    return all;
}

bool kept_last(char path[PATH_MAX]) {
    struct kept_chats all = kept_all();
    const bool found = all.n && kept_path(path, all.items[0].name);
    free(all.items);
    return found;
}

/* ---- new ones, and the end of old ones ------------------------------------------------------ */

/* Removes a chat that no program holds, or opens meanwhile. */
static void remove_kept(const char *path) {
    char journal[PATH_MAX + 16];
    int fd;
    snprintf(journal, sizeof journal, "%s%s", path, JOURNAL_ENDING);
    if (lock_open(journal, 0, &fd, NULL) == LOCK_HELD) {
        kept_forget_model(path);
        unlink(journal);
    }
    file_close(&fd);
}

bool kept_new(char path[PATH_MAX]) {
    struct kept_chats all = kept_all();
    size_t n_auto = 0;
    for (size_t i = 0; i < all.n; i++) {
        const bool by_bise =
            strncmp(all.items[i].name, AUTO_BEGINNING, strlen(AUTO_BEGINNING)) == 0;
        n_auto += by_bise;
        if (by_bise && n_auto >= KEPT_CHATS && kept_path(path, all.items[i].name))
            remove_kept(path);
    }
    free(all.items);
    const time_t now = time(NULL);
    struct tm local;
    char name[64], day[32];
    localtime_r(&now, &local);
    strftime(day, sizeof day, "%Y-%m-%d-%H%M%S", &local);
    snprintf(name, sizeof name, "%s%s-%ld", AUTO_BEGINNING, day, (long)getpid());
    return kept_path(path, name);
}

/* ---- the model of one ----------------------------------------------------------------------- */

void kept_note_model(const char *path, const char *model, const char *format) {
    char file[PATH_MAX + 16], whole[PATH_MAX];
    snprintf(file, sizeof file, "%s%s", path, MODEL_ENDING);
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        if (fd >= 0)
            close(fd);
        return;
    }
    fprintf(f, "%s\n%s\n", realpath(model, whole) ? whole : model, format);
    fclose(f);
}

void kept_forget_model(const char *path) {
    char file[PATH_MAX + 16];
    snprintf(file, sizeof file, "%s%s", path, MODEL_ENDING);
    unlink(file);
}

bool kept_model(const char *path, char model[PATH_MAX], char format[16]) {
    char file[PATH_MAX + 16];
    snprintf(file, sizeof file, "%s%s", path, MODEL_ENDING);
    FILE *f = fopen(file, "r");
    if (!f)
        return false;
    const bool good = fgets(model, PATH_MAX, f) && fgets(format, 16, f);
    fclose(f);
    if (good) {
        model[strcspn(model, "\n")] = 0;
        format[strcspn(format, "\n")] = 0;
    }
    return good && model[0];
}

/* ---- the list ------------------------------------------------------------------------------- */

/* Columns of the list: names and models as wide as they are, and what is left of a terminal. */
struct list_widths {
    size_t name, model, words;
};

static const char *model_of(const char *path, char model[PATH_MAX]) {
    char format[16];
    const char *const name = kept_model(path, model, format) ? strrchr(model, '/') : NULL;
    return name ? name + 1 : "-";
}

static struct list_widths list_widths(const struct kept_chats *all, FILE *to) {
    struct list_widths w = {.words = FIRST_WORDS};
    char path[PATH_MAX], model[PATH_MAX];
    for (size_t i = 0; i < all->n; i++) {
        const size_t name = strlen(all->items[i].name);
        const size_t n = kept_path(path, all->items[i].name) ? strlen(model_of(path, model)) : 0;
        w.name = name > w.name ? name : w.name;
        w.model = n > w.model ? n : w.model;
    }
    const size_t cols = wrap_columns(fileno(to)), taken = 16 + 2 + w.name + 2 + w.model + 2;
    if (cols && cols < taken + FIRST_WORDS)
        w.words = cols > taken ? cols - taken : 0;
    return w;
}

void kept_list(FILE *to) {
    struct kept_chats all = kept_all();
    const struct list_widths w = list_widths(&all, to);
    for (size_t i = 0; i < all.n; i++) {
        char path[PATH_MAX], model[PATH_MAX], day[32];
        struct tm local;
        if (!kept_path(path, all.items[i].name))
            continue;
        localtime_r(&all.items[i].used.tv_sec, &local);
        strftime(day, sizeof day, "%Y-%m-%d %H:%M", &local);
        print_to(to, "%s  %-*s  %-*s  ", day, (int)w.name, all.items[i].name, (int)w.model,
                 model_of(path, model));
        session_print_first_words(to, path, w.words);
        fputc('\n', to);
    }
    if (!all.n)
        say("no chat is kept yet\n");
    free(all.items);
}
