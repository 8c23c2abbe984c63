/* Prints how a model goes on with a text: example MODEL.bise TEXT
 * cc -o example example.c $(pkg-config --cflags --libs bise) */
#include <bise.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    const struct bise_engine_params params = {.window = -1}; /* the model's own window */
    const struct bise_sampler_params greedy = {.temp = 0};
    struct bise_error err = {.detail = "usage: example MODEL.bise TEXT"};
    struct bise_model *model = NULL;
    struct bise_session *session = NULL;
    struct bise_sampler *sampler = NULL;
    int32_t ids[1024] = {1}; /* begins with the id of "beginning of sequence" */
    size_t n = 0, len;
    bool good = argc == 3 && !bise_model_open(&model, argv[1], NULL, &err) &&
                !bise_session_open(&session, model, &params, &err) &&
                !bise_sampler_open(&sampler, bise_model_info(model)->vocab_size, &greedy, &err) &&
                !bise_tokenize(model, argv[2], strlen(argv[2]), ids + 1, 1023, &n, &err) &&
                !bise_prefill(session, ids, n < 1023 ? n + 1 : 1024, NULL, NULL, &err);
    for (int i = 0; good && i < 32; i++) {
        const int32_t id = bise_sample(sampler, bise_logits(session), NULL, NULL, 0, 0);
        const char *piece = bise_token_piece(model, id, &len);
        fwrite(piece, 1, len, stdout);
        good = !bise_decode(session, id, &err);
    }
    printf("\n");
    if (!good)
        fprintf(stderr, "%s\n", err.detail);
    bise_sampler_close(&sampler);
    bise_session_close(&session);
    bise_model_close(&model);
    return !good;
}
