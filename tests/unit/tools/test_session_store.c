/* Chats as files: whatever ends a chat, what was said is there again, and goes on with the same
 * bits where the file was written; what does not belong together is refused. */
#include "tests/unit/toy_conversation.h"

#include "tools/chat/session_store.h"

#include <signal.h>
#include <sys/resource.h>

static char folder[256], path[300], journal_path[320];

/* A chat with its session. */
struct kept {
    struct toy_conversation t;
    struct session_store s;
};

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/talk", folder);
    snprintf(journal_path, sizeof journal_path, "%s.journal", path);
}

static void teardown(void) {
    char model[300];
    snprintf(model, sizeof model, "%s/toy.bise", folder);
    unlink(model);
    unlink(path);
    unlink(journal_path);
    cr_assert_eq(rmdir(folder), 0, "nothing else is left");
}

TestSuite(session_store, .init = setup, .fini = teardown);

static void begin(struct kept *k) {
    *k = (struct kept){.t = {.runtime = {.path = NULL}}};
    snprintf(k->t.path, sizeof k->t.path, "%s/toy.bise", folder);
    if (access(k->t.path, F_OK) != 0)
        toy_write_model(k->t.path, 48, TYPE_I4);
    toy_conversation_begin(&k->t, CHAT_V3, 0, 1);
}

static int open_kept(struct kept *k) {
    begin(k);
    return session_store_open(&k->s, &k->t.c, CHAT_V3, path, false, false, true);
}

/* As a crash would: nothing is saved. */
static void drop_kept(struct kept *k) {
    session_store_close(&k->s);
    toy_conversation_close(&k->t);
}

static void say(struct kept *k, const char *text) {
    cr_assert_eq(toy_say(&k->t, text), BISE_OK);
}

static void check_same(const struct kept *k, const int32_t *ids, size_t n) {
    size_t n_found;
    int32_t *const found = toy_ids(&k->t, &n_found);
    cr_assert_eq(n_found, n);
    cr_assert_arr_eq(found, ids, n * sizeof *ids);
    free(found);
}

Test(session_store, goes_on_with_the_same_bits) {
    struct kept a, b;
    size_t n, read;
    begin(&a); /* never interrupted */
    for (int i = 0; i < 6; i++)
        say(&a, "How do you do?");
    int32_t *const want = toy_ids(&a.t, &n);
    toy_conversation_close(&a.t);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(open_kept(&b), EXIT_DONE);
        read = b.t.runtime.n_prompt;
        cr_assert_eq(read, 0, "nothing is read to go on");
        say(&b, "How do you do?");
        cr_assert_eq(session_store_save(&b.s, true), EXIT_DONE);
        cr_assert_not(session_store_changed(&b.s));
        drop_kept(&b);
        cr_assert_neq(access(journal_path, F_OK), 0, "an empty journal is removed");
    }
    cr_assert_eq(open_kept(&b), EXIT_DONE);
    check_same(&b, want, n);
    free(want);
    drop_kept(&b);
}

Test(session_store, the_journal_keeps_what_was_not_saved) {
    struct kept k;
    size_t n;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    cr_assert_eq(chat_set_system(k.t.c.chat, "Be kind.", 8, NULL), BISE_OK);
    say(&k, "First");
    say(&k, "Second");
    bise_sampler_set_seed(k.t.c.sampler, 77);
    session_store_keep_seed(&k.s);
    int32_t *ids = toy_ids(&k.t, &n);
    drop_kept(&k);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    check_same(&k, ids, n);
    cr_assert_eq(bise_sampler_seed(k.t.c.sampler), 77, "the last seed goes on");
    free(ids);
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    chat_pop(k.t.c.chat);
    chat_pop(k.t.c.chat);
    say(&k, "Third");
    chat_set_dropped(k.t.c.chat, 2);
    ids = toy_ids(&k.t, &n);
    drop_kept(&k);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    cr_assert_eq(chat_dropped(k.t.c.chat), 2);
    check_same(&k, ids, n);
    free(ids);
    say(&k, "Fourth");
    chat_clear(k.t.c.chat);
    say(&k, "Fifth");
    /* A message whose answer never came. */
    cr_assert_eq(chat_add(k.t.c.chat, CHAT_USER, "Sixth", 5, NULL), BISE_OK);
    drop_kept(&k);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    cr_assert_eq(chat_messages(k.t.c.chat), 3);
    enum finish finish;
    cr_assert_eq(conversation_answer(&k.t.c, &finish, NULL), BISE_OK);
    cr_assert_eq(chat_messages(k.t.c.chat), 4);
    drop_kept(&k);
}

Test(session_store, a_torn_journal_is_read_up_to_the_tear) {
    struct kept k;
    size_t n, last = 0;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    for (int i = 0; i < 3; i++)
        say(&k, "A question");
    drop_kept(&k);
    uint8_t *const bytes = tiny_slurp(journal_path, &n);
    cr_assert_not_null(bytes);
    for (size_t len = 0; len <= n; len++) {
        cr_assert(tiny_dump(journal_path, bytes, len));
        cr_assert_eq(open_kept(&k), EXIT_DONE, "cut at %zu of %zu", len, n);
        const size_t messages = chat_messages(k.t.c.chat);
        cr_assert_geq(messages, last, "cut at %zu", len);
        last = messages;
        if (len % 16 == 0 && messages % 2 == 0) { /* and it goes on from there */
            cr_assert_eq(chat_add(k.t.c.chat, CHAT_USER, "More", 4, NULL), BISE_OK);
            drop_kept(&k);
            cr_assert_eq(open_kept(&k), EXIT_DONE);
            cr_assert_eq(chat_messages(k.t.c.chat), messages + 1, "cut at %zu", len);
        }
        drop_kept(&k);
    }
    cr_assert_eq(last, 6);
    for (size_t at = 0; at < n; at++) { /* damage: refused, or read up to it */
        bytes[at] ^= 0x20;
        cr_assert(tiny_dump(journal_path, bytes, n));
        const int code = open_kept(&k);
        cr_assert(code == EXIT_DONE || (at < 8 && code == EXIT_INPUT), "at %zu: %d", at, code);
        cr_assert(code != EXIT_DONE || chat_messages(k.t.c.chat) < 6 || at >= n - 44, "at %zu", at);
        drop_kept(&k);
        bytes[at] ^= 0x20;
    }
    free(bytes);
}

Test(session_store, a_damaged_file_is_refused_or_read_anew) {
    struct kept k;
    size_t n, n_ids, n_anew = 0, n_refused = 0;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    for (int i = 0; i < 4; i++)
        say(&k, "A question");
    int32_t *const ids = toy_ids(&k.t, &n_ids);
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    drop_kept(&k);
    uint8_t *const bytes = tiny_slurp(path, &n);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < 200; i++) {
        const size_t at = (i * 2654435761u) % n;
        const bool cut = i % 2;
        bytes[at] ^= 1;
        cr_assert(tiny_dump(path, bytes, cut ? at : n));
        const int code = open_kept(&k);
        cr_assert(code == EXIT_DONE || code == EXIT_INPUT, "at %zu: %d", at, code);
        if (code == EXIT_DONE) { /* the conversation is whole, and goes on */
            check_same(&k, ids, n_ids);
            say(&k, "Another");
            n_anew++;
        } else {
            n_refused++;
        }
        drop_kept(&k);
        unlink(journal_path);
        bytes[at] ^= 1;
    }
    cr_assert_gt(n_anew, 10);
    cr_assert_gt(n_refused, 1);
    free(ids);
    free(bytes);
}

Test(session_store, a_crash_between_saving_and_emptying_the_journal) {
    struct kept k;
    size_t n, n_ids;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    say(&k, "A question");
    int32_t *const ids = toy_ids(&k.t, &n_ids);
    uint8_t *const bytes = tiny_slurp(journal_path, &n);
    cr_assert_not_null(bytes);
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    drop_kept(&k);
    cr_assert(tiny_dump(journal_path, bytes, n));
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    check_same(&k, ids, n_ids);
    drop_kept(&k);
    /* A journal of nothing, beside a file that is not there any more; and one beside another's. */
    unlink(path);
    cr_assert(tiny_dump(journal_path, bytes, n));
    cr_assert_eq(open_kept(&k), EXIT_DONE, "as before the first save");
    check_same(&k, ids, n_ids);
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    drop_kept(&k);
    cr_assert(tiny_dump(journal_path, bytes, n));
    cr_assert_eq(open_kept(&k), EXIT_DONE,
                 "and the file made of a journal alone is of its session");
    check_same(&k, ids, n_ids);
    say(&k, "After it was saved");
    free(bytes);
    uint8_t *const later = tiny_slurp(journal_path, &n);
    cr_assert_not_null(later);
    drop_kept(&k);
    unlink(path);
    cr_assert_eq(open_kept(&k), EXIT_INPUT, "it goes on from a file that is missing");
    drop_kept(&k);
    unlink(journal_path);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    say(&k, "A new one");
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    drop_kept(&k);
    cr_assert(tiny_dump(journal_path, later, n));
    cr_assert_eq(open_kept(&k), EXIT_INPUT, "of another session");
    drop_kept(&k);
    cr_assert_eq(access(journal_path, F_OK), 0, "what was refused is not removed");
    free(later);
    free(ids);
}

Test(session_store, one_chat_at_a_time) {
    struct kept a, b;
    cr_assert_eq(open_kept(&a), EXIT_DONE);
    say(&a, "Mine");
    begin(&b);
    cr_assert_eq(session_store_open(&b.s, &b.t.c, CHAT_V3, path, false, false, true), EXIT_INPUT);
    cr_assert_eq(session_store_check(&b.t.c, CHAT_V3, path), EXIT_INPUT);
    cr_assert_eq(session_store_copy(&b.t.c, CHAT_V3, path), EXIT_INPUT);
    say(&a, "Still mine");
    cr_assert_eq(session_store_save(&a.s, true), EXIT_DONE);
    session_store_close(&a.s);
    cr_assert_eq(session_store_open(&b.s, &b.t.c, CHAT_V3, path, true, false, true), EXIT_DONE);
    cr_assert_eq(chat_messages(b.t.c.chat), 4);
    drop_kept(&b);
    toy_conversation_close(&a.t);
}

Test(session_store, another_model_or_format_is_refused) {
    struct kept k;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    say(&k, "A question");
    drop_kept(&k);
    begin(&k);
    cr_assert_eq(session_store_open(&k.s, &k.t.c, CHAT_V1, path, false, false, true), EXIT_USAGE);
    drop_kept(&k);
    char model[300];
    snprintf(model, sizeof model, "%s/toy.bise", folder);
    toy_write_model(model, 48, TYPE_I8);
    cr_assert_eq(open_kept(&k), EXIT_INPUT, "the journal's");
    drop_kept(&k);
    toy_write_model(model, 48, TYPE_I4);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    drop_kept(&k);
    begin(&k);
    cr_assert_eq(session_store_open(&k.s, &k.t.c, CHAT_V1, path, false, false, true), EXIT_USAGE);
    drop_kept(&k);
    toy_write_model(model, 48, TYPE_I8);
    cr_assert_eq(open_kept(&k), EXIT_INPUT, "the file's");
    drop_kept(&k);
}

Test(session_store, copies) {
    struct kept k;
    char other[320];
    begin(&k);
    say(&k, "A question");
    snprintf(other, sizeof other, "%s/notes", folder);
    cr_assert(tiny_dump(other, (const uint8_t *)"my notes, not to be lost", 24));
    cr_assert_eq(session_store_copy(&k.t.c, CHAT_V3, other), EXIT_USAGE, "not written over");
    unlink(other);
    cr_assert_eq(session_store_check(&k.t.c, CHAT_V3, path), EXIT_INPUT, "there is none");
    cr_assert_eq(session_store_copy(&k.t.c, CHAT_V3, path), EXIT_DONE);
    cr_assert_eq(session_store_copy(&k.t.c, CHAT_V3, path), EXIT_DONE, "over a session");
    cr_assert_eq(session_store_check(&k.t.c, CHAT_V3, path), EXIT_DONE);
    cr_assert_eq(session_store_adopt(&k.s, &k.t.c, CHAT_V3, path), EXIT_DONE);
    say(&k, "Another");
    drop_kept(&k);
    begin(&k);
    cr_assert_eq(session_store_copy(&k.t.c, CHAT_V3, path), EXIT_USAGE, "its journal is not empty");
    toy_conversation_close(&k.t);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    cr_assert_eq(chat_messages(k.t.c.chat), 4);
    drop_kept(&k);
}

/* Files may not grow beyond a limit: as on a full disk, every write beyond it fails. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(session_store, where_nothing_can_be_written_nothing_is_lost) {
    struct kept k;
    size_t n;
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    say(&k, "Before");
    cr_assert_eq(session_store_save(&k.s, true), EXIT_DONE);
    limit_files(1000);
    say(&k, "While it can");
    cr_assert_eq(session_store_save(&k.s, true), EXIT_INPUT, "the file is longer");
    limit_files(300);
    say(&k, "While the journal cannot be written either, which is told");
    limit_files(1000);
    say(&k, "And again");
    int32_t *const ids = toy_ids(&k.t, &n);
    limit_files(RLIM_INFINITY);
    drop_kept(&k);
    cr_assert_eq(open_kept(&k), EXIT_DONE);
    check_same(&k, ids, n);
    free(ids);
    drop_kept(&k);
}
