/* The history file: shared, bounded, private, and whatever lies in it. */
#include "tools/edit/history.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[96];

static void make(void) {
    snprintf(folder, sizeof folder, "/tmp/bise-history.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/history", folder);
}

static void clean(void) {
    unlink(path);
    rmdir(folder);
}

static void write_raw(const char *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

TestSuite(history, .init = make, .fini = clean);

Test(history, is_kept_and_shared) {
    struct history a = {.n = 0}, b = {.n = 0};
    struct stat st;
    history_open(&a, path);
    history_open(&b, path);
    cr_expect_eq(a.n, 0);
    cr_expect(history_add(&a, "one", NULL));
    cr_expect(history_add(&a, "two\nlines \\n and \\", NULL));
    cr_expect(history_add(&a, "two\nlines \\n and \\", NULL), "the last one again");
    cr_expect(history_add(&a, "", NULL));
    history_refresh(&b);
    cr_assert_eq(b.n, 2);
    cr_expect_str_eq(b.lines[1], "two\nlines \\n and \\");
    cr_expect(history_add(&b, "three", NULL));
    history_refresh(&a);
    cr_assert_eq(a.n, 3);
    cr_expect_str_eq(a.lines[2], "three");
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    chmod(path, 0644);
    cr_expect(history_add(&b, "four", NULL));
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600, "it is made private again");
    history_close(&a);
    history_close(&b);
}

Test(history, is_bounded) {
    struct history h = {.n = 0};
    struct stat st;
    char text[32], *large = calloc(1, HISTORY_MAX_ENTRY + 2);
    cr_assert_not_null(large);
    history_open(&h, path);
    for (int i = 0; i < 2 * HISTORY_MAX_LINES; i++) {
        snprintf(text, sizeof text, "message %d", i);
        cr_assert(history_add(&h, text, NULL));
    }
    history_refresh(&h);
    cr_expect_leq(h.n, HISTORY_MAX_LINES);
    cr_expect_geq(h.n, HISTORY_MAX_LINES / 2);
    cr_expect_str_eq(h.lines[h.n - 1], text);
    memset(large, 'x', HISTORY_MAX_ENTRY + 1);
    const size_t before = h.n;
    cr_expect(history_add(&h, large, NULL));
    cr_expect_eq(h.n, before, "too long to be kept");
    for (int i = 0; i < 12; i++) {
        large[HISTORY_MAX_ENTRY - 1] = 0;
        large[0] = (char)('a' + i);
        cr_assert(history_add(&h, large, NULL));
        cr_assert_eq(stat(path, &st), 0);
        cr_expect_leq(st.st_size, HISTORY_MAX_BYTES);
    }
    free(large);
    history_close(&h);
}

Test(history, takes_any_bytes) {
    static const char raw[] = "good\nbad \xff\n\0null\n\nalso\\\\ good\\\n\\q\nlast without end";
    struct history h = {.n = 0};
    write_raw(raw, sizeof raw - 1);
    history_open(&h, path);
    cr_assert_eq(h.n, 4);
    cr_expect_str_eq(h.lines[0], "good");
    cr_expect_str_eq(h.lines[1], "also\\ good\\");
    cr_expect_str_eq(h.lines[2], "q");
    cr_expect_str_eq(h.lines[3], "last without end");
    cr_expect(history_add(&h, "new", NULL));
    history_refresh(&h);
    cr_assert_eq(h.n, 5);
    cr_expect_str_eq(h.lines[3], "last without end");
    cr_expect_str_eq(h.lines[4], "new");
    history_close(&h);
}

Test(history, survives_without_a_file) {
    struct history h = {.n = 0};
    char nowhere[128];
    history_open(&h, NULL);
    cr_expect(history_add(&h, "one", NULL));
    history_close(&h);
    snprintf(nowhere, sizeof nowhere, "%s/no/history", folder);
    history_open(&h, nowhere);
    struct bise_error err = {0};
    cr_expect_not(history_add(&h, "one", &err));
    cr_expect(strstr(err.detail, "No such file"), "%s", err.detail);
    cr_expect(history_add(&h, "two", NULL), "said once");
    history_refresh(&h);
    cr_expect_eq(h.n, 2);
    history_close(&h);
}

/* Four at once, while the file is cut shorter again and again: no line is torn. */
Test(history, several_writers) {
    enum { WRITERS = 4, EACH = 700 };
    pid_t pids[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        cr_assert_geq(pids[w], 0);
        if (pids[w])
            continue;
        struct history h = {.n = 0};
        char text[64];
        bool good = true;
        history_open(&h, path);
        for (int i = 0; i < EACH && good; i++) {
            snprintf(text, sizeof text, "writer %d\nmessage %d", w, i);
            good = history_add(&h, text, NULL);
        }
        history_close(&h);
        _exit(good ? 0 : 1);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status = 1;
        cr_assert_eq(waitpid(pids[w], &status, 0), pids[w]);
        cr_expect_eq(status, 0);
    }
    struct history h = {.n = 0};
    bool last[WRITERS] = {false};
    history_open(&h, path);
    cr_expect_geq(h.n, HISTORY_MAX_LINES / 2);
    for (size_t i = 0; i < h.n; i++) {
        int w = -1, number = -1, end = 0;
        cr_expect_eq(sscanf(h.lines[i], "writer %d\nmessage %d%n", &w, &number, &end), 2);
        cr_expect_eq(h.lines[i][end], 0);
        if (w >= 0 && w < WRITERS && number == EACH - 1)
            last[w] = true;
    }
    cr_expect(last[0] || last[1] || last[2] || last[3]);
    history_close(&h);
}
