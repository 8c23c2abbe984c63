/* bise chat at a terminal: what is asked where the context is full; a session that is killed. */
#include "tests/pty/pty.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define LONG                                                                                       \
    "Tell me about the old king, his three sons, the troll under the bridge, the sea and the "     \
    "long road home.\r"

static void open_with(struct pty *p, const char *const *args) {
    pty_open(p, &(struct pty_start){.args = args});
    pty_check(p, pty_wait_end(p, ">"), "the prompt comes");
}

static void leave(struct pty *p) {
    pty_type(p, "\x04");
    pty_check(p, pty_wait_exit(p) == 0, "the end of input leaves");
    pty_check(p, pty_restored(p), "and the terminal is as before");
    pty_close(p);
}

/* Says hello, then more than there is room for, and waits for the question. */
static void fill(struct pty *p) {
    pty_type(p, "Hello\r");
    pty_check(p, pty_wait_prompt(p), "an answer");
    pty_type(p, LONG);
    pty_check(p, pty_wait(p, "The context is full") && pty_wait_end(p, "\n?"), "a question");
}

static void full_in_an_answer(void) {
    static const char *const args[] = {"chat",     "-q", "--temp", "0",  "-n", "4",
                                       "--window", "0",  "-c",     "64", NULL};
    struct pty p;
    open_with(&p, args);
    fill(&p);
    pty_type(&p, "n\r"); /* is not offered here */
    pty_check(&p, pty_wait(&p, "The context is full") && pty_wait_end(&p, "\n?"), "asked again");
    pty_type(&p, "d\r");
    pty_check(&p, pty_wait(&p, "left out") && pty_wait_prompt(&p), "d leaves turns out");
    pty_type(&p, "/context\r");
    pty_check(&p, pty_wait(&p, "earlier messages are left out") && pty_wait_prompt(&p), "it is so");
    pty_type(&p, "/clear\r");
    pty_check(&p, pty_wait_prompt(&p), "a new conversation");
    fill(&p);
    pty_type(&p, "s\r");
    pty_check(&p, pty_wait(&p, "the answer ends here") && pty_wait_prompt(&p), "s ends it");
    leave(&p);
}

static void full_by_a_message(void) {
    static const char *const args[] = {"chat",     "-q", "--temp", "0",  "-n", "4",
                                       "--window", "0",  "-c",     "56", NULL};
    struct pty p;
    open_with(&p, args);
    fill(&p);
    pty_type(&p, "n\r");
    pty_check(&p, pty_wait(&p, "left out") && pty_wait_prompt(&p), "n begins anew");
    pty_type(&p, "/clear\r");
    pty_check(&p, pty_wait_prompt(&p), "a new conversation");
    fill(&p);
    pty_type(&p, "s\r");
    pty_check(&p, pty_wait(&p, "nothing was cut") && pty_wait_prompt(&p), "s takes it back");
    pty_type(&p, "/clear\r");
    pty_check(&p, pty_wait_prompt(&p), "a new conversation");
    fill(&p);
    pty_type(&p, "\x03");
    pty_check(&p, pty_wait(&p, "nothing was cut") && pty_wait_prompt(&p), "so does Ctrl-C");
    pty_check(&p, pty_history_lines() == 14, "answers to questions are no history");
    leave(&p);
}

static void killed(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/talk", pty_folder());
    const char *const args[] = {"chat", "--temp", "0", "-n", "4", "--session", path, NULL};
    const char *const endless[] = {"chat",         "--temp", "0",         "-n", "-1",
                                   "--logit-bias", "2-inf",  "--session", path, NULL};
    struct pty p;
    open_with(&p, args);
    pty_type(&p, "Hello there\r");
    pty_check(&p, pty_wait_prompt(&p), "an answer");
    pty_type(&p, "half a mess");
    pty_check(&p, pty_wait_end(&p, "half a mess"), "half a message");
    kill(p.pid, SIGKILL);
    pty_check(&p, pty_wait_exit(&p) == 128 + SIGKILL, "killed at the prompt");
    pty_close(&p);
    pty_open(&p, &(struct pty_start){.args = endless});
    pty_check(&p, pty_wait(&p, "going on after 2 messages") && pty_wait_end(&p, ">"),
              "all is there");
    pty_type(&p, "Once upon a time\r");
    pty_check(&p, pty_wait(&p, "time") && pty_wait(&p, " the"), "an endless answer");
    kill(p.pid, SIGKILL);
    pty_check(&p, pty_wait_exit(&p) == 128 + SIGKILL, "killed in an answer");
    pty_close(&p);
    pty_open(&p, &(struct pty_start){.args = args});
    pty_check(&p, pty_wait(&p, "going on after 3 messages"), "the message is there");
    pty_check(&p, pty_wait(&p, "no answer yet") && pty_wait_end(&p, ">"), "and is answered");
    leave(&p);
    pty_open(&p, &(struct pty_start){.args = args});
    pty_check(&p, pty_wait(&p, "going on after 4 messages") && pty_wait_end(&p, ">"), "saved");
    pty_type(&p, "/regen\r");
    pty_check(&p, pty_wait_prompt(&p), "another answer");
    leave(&p);
}

/* Another model does not fit into the addresses there are: the old one goes on, and so does its
 * session, message by message. */
static void another_model_fails(void) {
    char command[2048], path[300], switch_model[400];
    const char *const bise = getenv("BISE"), *const sanitizer = getenv("SANITIZER");
    struct rlimit before, limit;
    struct pty p;
    if (sanitizer && sanitizer[0]) /* takes terabytes of addresses */
        return;
    snprintf(command, sizeof command,
             "%s synth --shape dim=512,ffn=2048,layers=4,heads=8,kv=2,vocab=4096 --checkpoint "
             "%s/big 2>&1 && %s quantize %s/big -o %s/big.bise --type f32 --tokenizer "
             "tests/data/demo/tokenizer.model --chat-format v1 2>&1",
             bise, pty_folder(), bise, pty_folder(), pty_folder());
    FILE *const made = popen(command, "r");
    while (made && fgets(path, sizeof path, made))
        ;
    if (!made || pclose(made) != 0) {
        printf("not ok a model to be made\n");
        return;
    }
    snprintf(path, sizeof path, "%s/back", pty_folder());
    snprintf(switch_model, sizeof switch_model, "/model %s/big.bise\r", pty_folder());
    const char *const args[] = {"chat", "-q",    "--temp", "0",         "-n", "4", "-t",
                                "1",    "--mem", "mmap",   "--session", path, NULL};
    getrlimit(RLIMIT_AS, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)60 << 20;
    setrlimit(RLIMIT_AS, &limit);
    open_with(&p, args);
    setrlimit(RLIMIT_AS, &before);
    pty_type(&p, "Hello\r");
    pty_check(&p, pty_wait_prompt(&p), "an answer");
    pty_type(&p, switch_model);
    pty_check(&p, pty_wait(&p, "going back to") && pty_wait_prompt(&p), "the old model goes on");
    pty_type(&p, "And you?\r");
    pty_check(&p, pty_wait_prompt(&p), "and answers");
    kill(p.pid, SIGKILL);
    pty_check(&p, pty_wait_exit(&p) == 128 + SIGKILL, "killed");
    pty_close(&p);
    const char *const again[] = {"chat", "--session", path, NULL};
    pty_open(&p, &(struct pty_start){.args = again});
    pty_check(&p, pty_wait(&p, "going on after 4 messages") && pty_wait_end(&p, ">"),
              "no message is lost behind a model that failed");
    leave(&p);
}

int main(void) {
    if (!pty_begin("sessions"))
        return 0;
    full_in_an_answer();
    full_by_a_message();
    killed();
    another_model_fails();
    return pty_end();
}
