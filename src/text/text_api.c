/* The tokenizer as the public header shows it. */
#include "src/base/error.h"
#include "src/model/model.h"
#include "src/text/tokenizer.h"

enum bise_status bise_tokenize(const struct bise_model *model, const char *text, size_t len,
                               int32_t *ids, size_t cap, size_t *n_ids, struct bise_error *err) {
    *n_ids = 0;
    if (!model->tokenizer)
        return bise_fail(err, BISE_ERR_ARG, "the model file has no tokenizer");
    return tokenizer_encode(model->tokenizer, text, len, true, ids, cap, n_ids, err);
}

const char *bise_token_piece(const struct bise_model *model, int32_t id, size_t *len) {
    *len = 0;
    return model->tokenizer ? tokenizer_piece(model->tokenizer, id, len) : NULL;
}
