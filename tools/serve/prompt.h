/* From a request to the ids that are to be gone on with: a function of the request alone. */
#ifndef BISE_TOOLS_SERVE_PROMPT_H
#define BISE_TOOLS_SERVE_PROMPT_H

#include "src/text/chat.h"
#include "tools/serve/request.h"

/* What of the model rendering needs. Const once made, so that threads may share it. */
struct prompter {
    const struct bise_model *model;
    const struct bise_model_info *info;
    const struct tokenizer *tokenizer; /* NULL: the model has none */
    enum chat_format format;
    struct chat_tools tools;      /* of V3 */
    size_t limit;                 /* tokens a conversation may have; SIZE_MAX: as many as come */
    size_t longest_piece;         /* bytes of text that one token may stand for */
    int32_t end_ids[MAX_EOS + 1]; /* [n_end], by which the model ends its answer */
    size_t n_end;
    char end_text[32]; /* the format's end where the vocabulary has no piece for it; "": it has */
};

/* Errors: UNSUPPORTED (V3 without its control pieces). */
enum bise_status prompter_open(struct prompter *p, const struct bise_model *model,
                               enum chat_format format, size_t limit, struct bise_error *err);

bool prompter_is_end(const struct prompter *p, int32_t id);

struct prompt {
    int32_t *ids; /* [n] */
    size_t n;
    /* The beginning that the conversation's next request will surely have, as far as it is known
     * before the answer: what a sequence must keep to be taken over by it. */
    int32_t *stable; /* [n_stable] */
    size_t n_stable;
    size_t n_dropped; /* tokens of the oldest turns, which were left out */
};

/* p is to be given to prompt_free in any case. */
bool prompt_make(struct prompt *p, const struct prompter *by, const struct request *r,
                 struct fault *f);
/* What the next request begins with after this answer, text or (calls) a list of calls; *ids is
 * malloc'd, the caller's. False without memory, or where it is not foreseen. */
bool prompt_foresee(const struct prompter *by, const struct request *r, const char *answer,
                    size_t len, bool calls, int32_t **ids, size_t *n);
void prompt_free(struct prompt *p);

#endif
