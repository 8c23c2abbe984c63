#include "tools/common/mapping.h"

#include "src/base/shown.h"
#include "src/model/model.h"
#include "tools/common/tools.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MAX_MAPPINGS 8
#define LINE_BYTES   1024

static const char head[] = "\nbise: ";
static const char cut_short[] =
    " became shorter, or unreadable, while it was in use: a model that is in use must not be "
    "truncated or written over (replace it by mv, or use --mem huge)\n";
static const char any_cut_short[] =
    "\nbise: a file became shorter, or unreadable, while it was read: is it being written to, or "
    "the disk damaged?\n";

/* Filled in before `model` is set, which the handler reads first. */
static struct mapping {
    _Atomic(const struct bise_model *) model;
    const uint8_t *from, *to;
    char line[LINE_BYTES];
    size_t n;
} mappings[MAX_MAPPINGS];

static void (*_Atomic restore_terminal)(void);
static atomic_flag told = ATOMIC_FLAG_INIT;

static const struct mapping *find(const void *at) {
    for (int i = 0; i < MAX_MAPPINGS; i++)
        if (atomic_load(&mappings[i].model) != NULL && (const uint8_t *)at >= mappings[i].from &&
            (const uint8_t *)at < mappings[i].to)
            return &mappings[i];
    return NULL;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    const struct mapping *const m = find(info->si_addr);
    const char *const line = m ? m->line : any_cut_short;
    const size_t n = m ? m->n : sizeof any_cut_short - 1;
    if (m == NULL && info->si_code != BUS_ADRERR) { /* no file: as if there were no handler */
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    while (atomic_flag_test_and_set(&told)) /* another thread met it first: it ends the process */
        pause();
    void (*const restore)(void) = atomic_load(&restore_terminal);
    if (restore != NULL)
        restore();
    if (write(STDERR_FILENO, line, n) < 0) /* nothing more can be said */
        _exit(EXIT_INPUT);
    _exit(EXIT_INPUT);
}

void mapping_watch_all(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void mapping_watch(const struct bise_model *model, const char *path) {
    if (model == NULL || model->map_is_copy)
        return;
    for (int i = 0; i < MAX_MAPPINGS; i++) {
        struct mapping *const m = &mappings[i];
        if (atomic_load(&m->model) != NULL)
            continue;
        m->from = model->map;
        m->to = model->map + model->map_len;
        memcpy(m->line, head, sizeof head - 1);
        const size_t at = sizeof head - 1, cap = LINE_BYTES - at - sizeof cut_short;
        (void)show_text(m->line + at, cap, path, strlen(path));
        strcat(m->line, cut_short);
        m->n = strlen(m->line);
        atomic_store(&m->model, model);
        break;
    }
}

void mapping_forget(const struct bise_model *model) {
    for (int i = 0; model != NULL && i < MAX_MAPPINGS; i++)
        if (atomic_load(&mappings[i].model) == model)
            atomic_store(&mappings[i].model, NULL);
}

void mapping_before_exit(void (*restore)(void)) {
    atomic_store(&restore_terminal, restore);
}
