/* The config files of checkpoints, as a model_config. */
#ifndef BISE_QUANT_SOURCE_CONFIGS_H
#define BISE_QUANT_SOURCE_CONFIGS_H

#include "quant/source/note.h"
#include "src/base/json.h"
#include "src/model/config.h"

/* The files' paths, for messages, and where notes go (may be NULL). */
struct config_place {
    const char *config, *generation;
    struct note *note;
};

/* Hugging Face's config.json. generation: generation_config.json's root, NULL if there is none.
 * n_kv_heads stays 0 where the file does not say. Ids that can never occur are left out with a
 * warning. The caller runs config_check.
 * Errors: FORMAT, UNSUPPORTED (an architecture outside the family: named). */
enum bise_status config_from_hf(const struct json_value *root, const struct json_value *generation,
                                const struct config_place *place, struct model_config *c,
                                struct bise_error *err);
/* How config.json says that the weights are quantized; NULL where it does not. */
const char *config_quant_method(const struct json_value *root);
/* mistral.ai's and Meta's params.json. n_kv_heads, ffn_dim and vocab_size stay 0 where the file
 * does not say. */
enum bise_status config_from_params(const struct json_value *root, const struct config_place *place,
                                    struct model_config *c, struct bise_error *err);

/* The chat format a template (Jinja, of tokenizer_config.json) stands for, where that is certain.
 * has_control_inst: piece 3 of the tokenizer is the control piece [INST]. have_tokenizer: it is
 * known. */
enum chat_format chat_from_template(const char *template_text, bool have_tokenizer,
                                    bool has_control_inst);

#endif
