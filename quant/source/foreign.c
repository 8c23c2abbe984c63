#include "quant/source/foreign.h"

#include <string.h>

/* In the order in which they are looked for: GPTQ's tensors are AWQ's and one more, and scales
 * beside weights of other types are MLX's. */
static const struct {
    const char *part; /* of a tensor's name: its end, or, with a dot at its end, anything in it */
    const char *what;
} marks[] = {
    {".lora_A.", "a LoRA adapter"},
    {".lora_B.", "a LoRA adapter"},
    {".g_idx", "weights quantized by GPTQ"},
    {".qweight", "weights quantized by AWQ"},
    {".quant_map", "weights quantized by bitsandbytes"},
    {".absmax", "weights quantized by bitsandbytes"},
    {".SCB", "weights quantized by bitsandbytes"},
    {".quant_state.bitsandbytes__nf4", "weights quantized by bitsandbytes"},
    {".quant_state.bitsandbytes__fp4", "weights quantized by bitsandbytes"},
    {".weight_packed", "weights quantized by compressed-tensors"},
    {".weight_scale_inv", "FP8 weights"},
    {".weight_scale", "FP8 weights"},
    {".q_weight", "weights quantized by ExLlamaV2"},
    {".W_q", "weights quantized by HQQ"},
    {".codebooks", "weights quantized by AQLM"},
    {".biases", "weights quantized by MLX"},
};

static bool has_part(const char *name, const char *part) {
    return part[strlen(part) - 1] == '.' ? strstr(name, part) != NULL : ends_with(name, part);
}

static enum bise_status refuse(const struct raw_set *set, const struct raw_tensor *t,
                               const char *what, struct bise_error *err) {
    const bool adapter = strstr(what, "adapter") != NULL;
    return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s holds %s (tensor %.128s): %s",
                     set->files[t->file].path, what, t->name,
                     adapter ? "merge it into its base model first, and quantize the result"
                             : "take the checkpoint they were made from, with 16 or 32 bits");
}

enum bise_status refuse_foreign(const struct raw_set *set, struct bise_error *err) {
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
        for (size_t i = 0; i < set->n_tensors; i++)
            if (has_part(set->tensors[i].name, marks[m].part))
                return refuse(set, &set->tensors[i], marks[m].what, err);
    for (size_t i = 0; i < set->n_tensors; i++)
        if (strncmp(set->tensors[i].dtype, "F8_", 3) == 0)
            return refuse(set, &set->tensors[i], "FP8 weights", err);
    return BISE_OK;
}
