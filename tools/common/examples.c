/* What --help shows of each command in use. The manual's section of examples says the same. */
#include "tools/common/tools.h"

#include <string.h>

const char *const *command_examples(const char *command) {
    static const struct {
        const char *command;
        const char *lines[5];
    } examples[] = {
        {"chat",
         {"bise chat -m mistral.bise", "bise chat -m mistral.bise -sys \"Answer in one sentence.\"",
          "bise chat -m mistral.bise --session diary --guard"}},
        {"run",
         {"bise run -m mistral.bise -p \"The old king\" -n 64",
          "bise run -m mistral.bise -f prompt.txt --temp 0 --lookup 10",
          "bise run -m mistral.bise -p \"Three colours:\" --json-schema @colours.json",
          "bise run -m mistral.bise --jsonl prompts.jsonl >results.jsonl"}},
        {"serve",
         {"bise serve -m mistral.bise --open",
          "bise serve -m mistral.bise -b 2 --host 0.0.0.0 --api-key-file keys"}},
        {"moderate",
         {"bise moderate -m mistral.bise \"How do I kill a linux process?\"",
          "bise moderate -m mistral.bise --transcript talk.json --json"}},
        {"quantize",
         {"bise quantize Mistral-7B-Instruct-v0.3 -o mistral.bise --type i4",
          "bise quantize mistral-7b-v0.1.Q8_0.gguf -o mistral.bise --window 4096"}},
        {"calibrate", {"bise calibrate -m full.bise -f book.txt -o book.stats"}},
        {"plan", {"bise plan -m mistral.bise -c 4096"}},
        {"inspect", {"bise inspect mistral.bise", "bise inspect mistral.bise --json"}},
        {"set",
         {"bise set mistral.bise --chat-format v3",
          "bise set mistral.bise --window 4096 --name \"Mistral 7B\""}},
        {"diff", {"bise diff mistral.bise other.bise"}},
        {"verify", {"bise verify mistral.bise"}},
        {"tokenize",
         {"echo \"The old king\" | bise tokenize -m mistral.bise",
          "echo 1 1183 2339 7547 | bise tokenize -m mistral.bise --decode"}},
        {"perplexity", {"bise perplexity -m mistral.bise --text wiki.test.raw -c 512"}},
        {"bench",
         {"bise bench -m mistral.bise -p 128,512 -n 32 -t 1,2 --isa all",
          "bise bench -m mistral.bise --suite quick -o bench.json",
          "bise bench -p 0 -n 0 --kernels"}},
        {"report", {"bise report laptop.json board.json -o report.html"}},
        {"pull",
         {"bise pull mistral-7b-instruct-v0.3 --quantize i4 --rm",
          "bise pull mistralai/Mistral-7B-v0.1 -o Mistral-7B-v0.1"}},
        {"list", {"bise list"}},
        {"rm", {"bise rm mistral"}},
        {"study",
         {"bise study cache -p \"The cat sat on the mat\" --window 4",
          "bise study window -m mistral.bise -f book.txt"}},
        {"synth", {"bise synth --shape mistral-7b --type i4 -o speed.bise"}},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        if (strcmp(examples[i].command, command) == 0)
            return examples[i].lines;
    return NULL;
}
