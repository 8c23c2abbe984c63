/* config.json and params.json of the family, and of others. */
#include "quant/source/configs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct bise_error err;
static char note[1024];

enum reader { HF, PARAMS };

static enum bise_status read(enum reader reader, const char *text, const char *generation,
                             struct model_config *c) {
    struct json *j = NULL, *g = NULL;
    cr_assert_eq(json_parse(&j, text, strlen(text), "t", &err), BISE_OK, "%s", err.detail);
    if (generation)
        cr_assert_eq(json_parse(&g, generation, strlen(generation), "g", &err), BISE_OK);
    struct note notes = {.text = note, .cap = sizeof note};
    const struct config_place place = {reader == HF ? "c.json" : "p.json", "g.json", &notes};
    note[0] = 0;
    const enum bise_status s =
        reader == HF ? config_from_hf(json_root(j), g ? json_root(g) : NULL, &place, c, &err)
                     : config_from_params(json_root(j), &place, c, &err);
    json_close(&j);
    json_close(&g);
    return s;
}

#define HF_BASE                                                                                    \
    "\"hidden_size\":4096,\"intermediate_size\":14336,\"num_hidden_layers\":32,"                   \
    "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"vocab_size\":32000,"                   \
    "\"rms_norm_eps\":1e-05"
#define MISTRAL "\"architectures\":[\"MistralForCausalLM\"],\"model_type\":\"mistral\"," HF_BASE
#define PARAMS_BASE                                                                                \
    "\"dim\":4096,\"n_layers\":32,\"head_dim\":128,\"hidden_dim\":14336,\"n_heads\":32,"           \
    "\"n_kv_heads\":8,\"norm_eps\":1e-05,\"vocab_size\":32000"

Test(configs, mistral_v01) {
    struct model_config c;
    static const char text[] =
        "{" MISTRAL ",\"sliding_window\":4096,\"rope_theta\":10000.0,\"hidden_act\":\"silu\","
        "\"max_position_embeddings\":32768,\"tie_word_embeddings\":false,"
        "\"bos_token_id\":1,\"eos_token_id\":2}";
    cr_assert_eq(read(HF, text, NULL, &c), BISE_OK, "%s", err.detail);
    cr_assert(c.dim == 4096 && c.ffn_dim == 14336 && c.n_layers == 32 && c.n_heads == 32);
    cr_assert(c.n_kv_heads == 8 && c.head_dim == 128 && c.vocab_size == 32000);
    cr_assert(c.window == 4096 && c.max_context == 32768 && !c.tied_head && c.n_experts == 0);
    cr_assert(c.rope_theta == 1e4 && c.norm_eps == 1e-5f);
    cr_assert(c.bos_id == 1 && c.n_eos == 1 && c.eos_ids[0] == 2);
    cr_assert_eq(config_check(&c, "c.json", &err), BISE_OK);
}

/* {config, generation_config or NULL} and what one field becomes. */
Test(configs, fields) {
    struct model_config c;
    cr_assert_eq(read(HF, "{" MISTRAL "}", NULL, &c), BISE_OK);
    cr_assert(c.rope_theta == 1e4 && c.window == 0 && c.max_context == 0 && c.n_eos == 1);
    read(HF, "{" MISTRAL ",\"rope_theta\":1000000.0,\"sliding_window\":null}", NULL, &c);
    cr_assert(c.rope_theta == 1e6 && c.window == 0);
    read(HF, "{" MISTRAL ",\"sliding_window\":\"4096\"}", NULL, &c);
    cr_assert_eq(c.window, 4096);
    read(HF, "{" MISTRAL ",\"head_dim\":160}", NULL, &c);
    cr_assert_eq(c.head_dim, 160);
    read(HF, "{" MISTRAL ",\"head_dim\":null,\"tie_word_embeddings\":true}", NULL, &c);
    cr_assert(c.head_dim == 128 && c.tied_head);
    read(HF, "{" MISTRAL ",\"eos_token_id\":[2,31999],\"bos_token_id\":null}", NULL, &c);
    cr_assert(c.n_eos == 2 && c.eos_ids[1] == 31999 && c.bos_id == -1);
    read(HF, "{" MISTRAL ",\"eos_token_id\":2}", "{\"eos_token_id\":[7,8,9]}", &c);
    cr_assert(c.n_eos == 3 && c.eos_ids[2] == 9);
    read(HF, "{" MISTRAL ",\"eos_token_id\":5}", "{\"eos_token_id\":null}", &c);
    cr_assert(c.n_eos == 1 && c.eos_ids[0] == 5);
    read(HF, "{" MISTRAL ",\"eos_token_id\":null}", NULL, &c);
    cr_assert_eq(c.n_eos, 0);
    read(HF, "{" MISTRAL ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":5e5}}",
         NULL, &c);
    cr_assert_eq(c.rope_theta, 5e5);
    read(HF,
         "{" MISTRAL ",\"rope_theta\":7.0,\"rope_parameters\":{\"rope_type\":\"default\","
         "\"rope_theta\":8.0}}",
         NULL, &c);
    cr_assert_eq(c.rope_theta, 8);
    cr_assert_eq(read(HF,
                      "{" MISTRAL ",\"rope_scaling\":null,\"attention_bias\":false,"
                      "\"mlp_bias\":false,\"layer_types\":[\"full_attention\","
                      "\"full_attention\"]}",
                      NULL, &c),
                 BISE_OK);
    cr_assert_eq(read(HF, "{\"model_type\":\"llama\"," HF_BASE "}", NULL, &c), BISE_OK);
    cr_assert_eq(read(HF, "{\"architectures\":[\"LlamaForCausalLM\"]," HF_BASE "}", NULL, &c),
                 BISE_OK);
    cr_assert_eq(read(HF,
                      "{\"architectures\":[\"MixtralForCausalLM\"],\"num_local_experts\":8,"
                      "\"num_experts_per_tok\":2," HF_BASE "}",
                      NULL, &c),
                 BISE_OK);
    cr_assert(c.n_experts == 8 && c.n_experts_used == 2);
}

/* No theta in params.json: 1e6 for a mixture, else 1e4, window or not. */
Test(configs, params) {
    struct model_config c;
    cr_assert_eq(read(PARAMS, "{" PARAMS_BASE ",\"sliding_window\":4096}", NULL, &c), BISE_OK);
    cr_assert(c.rope_theta == 1e4 && c.window == 4096 && c.bos_id == 1 && c.eos_ids[0] == 2);
    cr_assert_eq(config_check(&c, "p.json", &err), BISE_OK);
    read(PARAMS, "{" PARAMS_BASE "}", NULL, &c);
    cr_assert(c.rope_theta == 1e4 && c.window == 0);
    read(PARAMS, "{" PARAMS_BASE ",\"rope_theta\":7.0,\"sliding_window\":9}", NULL, &c);
    cr_assert_eq(c.rope_theta, 7);
    read(PARAMS, "{" PARAMS_BASE ",\"moe\":{\"num_experts\":8,\"num_experts_per_tok\":2}}", NULL,
         &c);
    cr_assert(c.n_experts == 8 && c.n_experts_used == 2 && c.rope_theta == 1e6);
}

/* Llama 2's own: what it leaves open is 0, for the shapes of the tensors to say. */
Test(configs, params_of_llama_2) {
    struct model_config c;
    cr_assert_eq(read(PARAMS,
                      "{\"dim\":4096,\"multiple_of\":256,\"n_heads\":32,\"n_layers\":32,"
                      "\"norm_eps\":1e-06,\"vocab_size\":-1}",
                      NULL, &c),
                 BISE_OK, "%s", err.detail);
    cr_assert(c.ffn_dim == 0 && c.vocab_size == 0 && c.n_kv_heads == 32 && c.head_dim == 128);
    cr_assert_eq(c.rope_theta, 1e4);
    read(PARAMS,
         "{\"dim\":8192,\"multiple_of\":4096,\"ffn_dim_multiplier\":1.3,\"n_heads\":64,"
         "\"n_kv_heads\":8,\"n_layers\":80,\"norm_eps\":1e-05,\"vocab_size\":-1}",
         NULL, &c);
    cr_assert(c.ffn_dim == 0 && c.n_kv_heads == 8);
}

/* Ids that can never occur are left out, and the warning names the file they stand in. */
Test(configs, ids_that_cannot_occur) {
    struct model_config c;
    cr_assert_eq(read(HF, "{" MISTRAL ",\"eos_token_id\":32000}", NULL, &c), BISE_OK);
    cr_assert(c.n_eos == 0 && strstr(note, "warning: c.json: eos_token_id: 32000 is no id"));
    read(HF, "{" MISTRAL ",\"eos_token_id\":2}", "{\"eos_token_id\":[-1,5,32000]}", &c);
    cr_assert(c.n_eos == 1 && c.eos_ids[0] == 5);
    cr_assert(strstr(note, "warning: g.json: eos_token_id: -1 is no id"), "%s", note);
    cr_assert(strstr(note, "warning: g.json: eos_token_id: 32000 is no id"), "%s", note);
    read(HF, "{" MISTRAL ",\"eos_token_id\":3}", "{\"eos_token_id\":-1}", &c);
    cr_assert(c.n_eos == 1 && c.eos_ids[0] == 3);
    read(HF, "{" MISTRAL ",\"bos_token_id\":-1}", NULL, &c);
    cr_assert(c.bos_id == -1 && strstr(note, "warning: c.json: bos_token_id: -1"));
    read(HF, "{" MISTRAL ",\"bos_token_id\":32000}", NULL, &c);
    cr_assert_eq(c.bos_id, -1);
}

Test(configs, quantization_that_is_said) {
    static const struct {
        const char *text, *method;
    } cases[] = {
        {"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}", "gptq"},
        {"{\"quantization_config\":{\"load_in_4bit\":true}}", "some method"},
        {"{\"quantization_config\":null,\"quantization\":{\"bits\":4}}", "some method"},
        {"{\"quantization_config\":null}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *j = NULL;
        cr_assert_eq(json_parse(&j, cases[i].text, strlen(cases[i].text), "t", &err), BISE_OK);
        const char *method = config_quant_method(json_root(j));
        cr_assert((method == NULL) == (cases[i].method == NULL));
        cr_assert(!method || strcmp(method, cases[i].method) == 0);
        json_close(&j);
    }
}

Test(configs, nested_in_text_config) {
    struct model_config c;
    cr_assert_eq(read(HF,
                      "{\"architectures\":[\"Mistral3ForConditionalGeneration\"],"
                      "\"vision_config\":{\"hidden_size\":1024},"
                      "\"text_config\":{\"model_type\":\"mistral\"," HF_BASE "}}",
                      NULL, &c),
                 BISE_OK, "%s", err.detail);
    cr_assert(c.dim == 4096 && strstr(note, "c.json: text_config is read"));
    cr_assert_eq(read(HF, "{\"text_config\":{\"model_type\":\"qwen2\"," HF_BASE "}}", NULL, &c),
                 BISE_ERR_UNSUPPORTED);
}

Test(configs, refused) {
    static const struct {
        enum reader reader;
        const char *text, *generation;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {HF, "[]", NULL, BISE_ERR_FORMAT, "c.json: expected an object"},
        {HF, "{}", NULL, BISE_ERR_UNSUPPORTED, "model_type: expected mistral, mixtral or llama"},
        {HF, "{\"architectures\":[\"GPT2LMHeadModel\"]," HF_BASE "}", NULL, BISE_ERR_UNSUPPORTED,
         "architectures: expected MistralForCausalLM, MixtralForCausalLM or LlamaForCausalLM, "
         "found GPT2LMHeadModel"},
        {HF, "{\"model_type\":\"qwen2\"," HF_BASE "}", NULL, BISE_ERR_UNSUPPORTED, "found qwen2"},
        {HF, "{\"model_type\":\"mistral\",\"intermediate_size\":1}", NULL, BISE_ERR_FORMAT,
         "c.json: hidden_size: expected a whole number, found nothing"},
        {HF, "{" MISTRAL ",\"num_hidden_layers\":\"32\"}", NULL, BISE_ERR_FORMAT,
         "num_hidden_layers: expected a whole number, found \"32\""},
        {HF, "{" MISTRAL ",\"vocab_size\":-1}", NULL, BISE_ERR_FORMAT, "vocab_size: expected a"},
        {HF, "{" MISTRAL ",\"vocab_size\":1.5}", NULL, BISE_ERR_FORMAT, "found 1.5"},
        {HF, "{" MISTRAL ",\"vocab_size\":5000000000}", NULL, BISE_ERR_FORMAT, "found 5000000000"},
        {HF, "{" MISTRAL ",\"num_attention_heads\":3}", NULL, BISE_ERR_FORMAT,
         "hidden_size: expected a multiple of the number of heads 3, found 4096"},
        {HF, "{" MISTRAL ",\"num_attention_heads\":0}", NULL, BISE_ERR_FORMAT, "multiple"},
        {HF, "{" MISTRAL ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}", NULL,
         BISE_ERR_UNSUPPORTED, "rope_scaling is not supported, found type linear"},
        {HF, "{" MISTRAL ",\"rope_scaling\":{\"factor\":2.0}}", NULL, BISE_ERR_UNSUPPORTED,
         "rope_scaling is not supported"},
        {HF, "{" MISTRAL ",\"rope_parameters\":{\"rope_type\":\"yarn\"}}", NULL,
         BISE_ERR_UNSUPPORTED, "rope_parameters is not supported, found type yarn"},
        {HF, "{" MISTRAL ",\"attention_bias\":true}", NULL, BISE_ERR_UNSUPPORTED,
         "attention_bias is not supported"},
        {HF, "{" MISTRAL ",\"hidden_act\":\"gelu\"}", NULL, BISE_ERR_UNSUPPORTED,
         "hidden_act: expected silu, found gelu"},
        {HF, "{" MISTRAL ",\"sliding_window\":\"all\"}", NULL, BISE_ERR_FORMAT,
         "sliding_window: expected null or a number, found \"all\""},
        {HF, "{" MISTRAL ",\"sliding_window\":\"\"}", NULL, BISE_ERR_FORMAT, "sliding_window"},
        {HF, "{" MISTRAL ",\"sliding_window\":-5}", NULL, BISE_ERR_FORMAT, "sliding_window"},
        {HF, "{" MISTRAL ",\"sliding_window\":[1]}", NULL, BISE_ERR_FORMAT, "sliding_window"},
        {HF, "{" MISTRAL ",\"rope_theta\":\"big\"}", NULL, BISE_ERR_FORMAT,
         "rope_theta: expected a number, found \"big\""},
        {HF, "{" MISTRAL ",\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", NULL,
         BISE_ERR_UNSUPPORTED, "layer_types"},
        {HF, "{" MISTRAL ",\"tie_word_embeddings\":1}", NULL, BISE_ERR_FORMAT,
         "tie_word_embeddings: expected true or false"},
        {HF, "{" MISTRAL "}", "{\"eos_token_id\":\"x\"}", BISE_ERR_FORMAT, "g.json: eos_token_id"},
        {HF, "{" MISTRAL ",\"eos_token_id\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}", NULL,
         BISE_ERR_UNSUPPORTED, "eos_token_id: expected at most 16 ids, found 17"},
        {HF, "{\"architectures\":[\"MixtralForCausalLM\"]," HF_BASE "}", NULL, BISE_ERR_FORMAT,
         "num_local_experts: expected"},
        {PARAMS, "{\"dim\":4096}", NULL, BISE_ERR_FORMAT, "p.json: n_layers: expected"},
        {PARAMS, "{" PARAMS_BASE ",\"moe\":{\"num_experts\":8}}", NULL, BISE_ERR_FORMAT,
         "num_experts_per_tok: expected"},
        {PARAMS, "{" PARAMS_BASE ",\"vision_encoder\":{\"x\":1}}", NULL, BISE_ERR_UNSUPPORTED,
         "vision_encoder is not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config c;
        cr_assert_eq(read(cases[i].reader, cases[i].text, cases[i].generation, &c), cases[i].status,
                     "%s: %s", cases[i].text, err.detail);
        cr_assert(strstr(err.detail, cases[i].message), "expected \"%s\" in \"%s\"",
                  cases[i].message, err.detail);
    }
}

Test(configs, chat_formats) {
    static const char inst[] = "{{ bos_token }}... '[INST] ' + message['content'] + ' [/INST]'";
    cr_assert_eq(chat_from_template(inst, true, false), CHAT_V1);
    cr_assert_eq(chat_from_template(inst, true, true), CHAT_V3);
    cr_assert_eq(chat_from_template(inst, false, false), CHAT_UNKNOWN);
    cr_assert_eq(chat_from_template("'<|im_start|>' + role ... '<|im_end|>'", true, false),
                 CHAT_CHATML);
    cr_assert_eq(chat_from_template("'<|user|>\n' ... eos_token '<|assistant|>'", true, false),
                 CHAT_ZEPHYR);
    cr_assert_eq(chat_from_template("'<|user|>' ... '<|end|>' '<|assistant|>'", true, false),
                 CHAT_UNKNOWN);
    cr_assert_eq(chat_from_template("'[INST] <<SYS>>\n' ... ' [/INST]'", true, false), CHAT_LLAMA2);
    cr_assert_eq(chat_from_template("'### Instruction:'", true, false), CHAT_UNKNOWN);
    cr_assert_eq(chat_from_template("'[SYSTEM_PROMPT]' + s + '[/SYSTEM_PROMPT]' '[INST]' '[/INST]'",
                                    true, true),
                 CHAT_UNKNOWN); /* V7 */
    cr_assert_eq(chat_from_template("'<|im_start|>user<|im_sep|>' + c + '<|im_end|>'", true, false),
                 CHAT_UNKNOWN); /* phi-4 */
}
