#!/usr/bin/env bash
# The checkpoints that people have on disk, as ../shared/cases/checkpoints.py makes them: each is read
# or refused as its page expects. (tests/unit/quant/source has such files made by the project's own
# code.)
. tests/cli/common.sh
python=python3
"$python" -c 'import numpy' 2>/dev/null || python=/usr/bin/python3
if [ ! -f "$SHARED/cases/checkpoints.py" ] || ! "$python" -c 'import numpy' 2>/dev/null; then
    skipped checkpoints "$SHARED/cases/checkpoints.py is not there, or no numpy"
    finish
    exit
fi
PYTHONDONTWRITEBYTECODE=1 "$python" "$SHARED/cases/checkpoints.py" "$T/c" >/dev/null
same "cases" 23 "$(wc -l <"$T/c/expected.txt")"
blob=sha256-0f$(printf '3a%.0s' {1..31})

read_case() { # read_case NAME [TEXT...]: quantizes it; the messages hold each text
    local name=$1 text
    shift
    if ! "$BISE" quantize "$T/c/$name" -o "$T/${name////_}.bise" --type f32 >"$T/out" 2>"$T/err"; then
        not_ok "$name is read" "$(tail -n 1 "$T/err")"
        return
    fi
    for text in "$@"; do
        grep -q -F -e "$text" "$T/err" || { not_ok "$name" "expected \"$text\""; return; }
    done
    ok "$name is read"
}
refuse() { expect_exit "$1 is refused" 3 "$2" "$BISE" quantize "$T/c/$1" -o "$T/refused.bise"; }
head -c 1000 tests/rules/rooms.txt >"$T/text"
nll() { "$BISE" perplexity -m "$T/$1.bise" --text "$T/text" --json 2>/dev/null | grep -o '"nll":[^,]*'; }
ids() { printf 'Hello, world' | "$BISE" tokenize -m "$T/$1.bise"; }

read_case demo-no-window
for name in meta-llama2 meta-dense-no-window; do
    read_case $name
    same "$name: as Hugging Face's layout" "$(nll demo-no-window)" "$(nll $name)"
done
expect "there is a number" test -n "$(nll demo-no-window)"
read_case leftover-quantization-config "but every weight is a float"
read_case eos-beyond-vocabulary "warning: $T/c/eos-beyond-vocabulary/config.json: eos_token_id: 32000"
read_case eos-beyond-in-generation-config "generation_config.json: eos_token_id: 32000"
read_case rope-parameters-win
same "rope_parameters' theta" 10000 "$("$BISE" inspect --json "$T/rope-parameters-win.bise" | grep -o '"rope_theta":[0-9]*' | cut -d: -f2)"
read_case chatml-in-tokenizer-config "ids 32000 to 32001"
printf 'hi<|im_end|>\n' | "$BISE" chat -m "$T/chatml-in-tokenizer-config.bise" --dump-tokens -n 1 \
    >/dev/null 2>"$T/err"
expect "its chat's prompt" grep -q '^prompt ids: 1 32001 2188 13 ' "$T/err"
same "one end of a message: what is typed is text" 1 "$(grep '^prompt ids' "$T/err" | tr ' ' '\n' | grep -c -x 32000)"
read_case chatml-marks-missing "its template is ChatML's, but no token is called <|im_start|>"
for name in no-bos no-bos.gguf; do
    read_case $name
    expect "$name: kept, and shown" grep -q "no BOS before a text" <("$BISE" inspect "$T/$name.bise")
    "$BISE" run -m "$T/$name.bise" -p Hello -n 1 --json -q 2>/dev/null | tail -n 1 >"$T/json"
    expect "$name: no BOS in front" grep -q '"prompt_tokens": *1[,}]' "$T/json"
done
read_case shards-without-index
refuse shard-missing-without-index "missing shard model-00002-of-00003.safetensors"
refuse lfs-pointer "is a git-lfs pointer, not the file of 13644280 bytes"
read_case unk-as-control.gguf
same "tokens as from tokenizer.model" "$(ids demo-no-window)" "$(ids unk-as-control.gguf)"
read_case pads-as-unknown.gguf "2 more unknown pieces, for padding, are never used"
refuse scale-without-type.gguf "llama.rope.scaling.factor: rope scaling is not supported"
refuse scale-linear-of-2023.gguf "llama.rope.scale_linear: rope scaling is not supported"
read_case marks-user-defined.gguf
same "a mark that is typed is text" 0 "$(printf '<|im_end|><|im_start|>' | "$BISE" tokenize -m "$T/marks-user-defined.gguf.bise" | tr ' ' '\n' | grep -c -E '^409[45]$')"
read_case eos-beyond.gguf "warning: $T/c/eos-beyond.gguf: tokenizer.ggml.eos_token_id: 32000"
read_case "$blob"
read_case folder-with-one-gguf
for name in split split/m-00001-of-00002.gguf; do
    read_case $name
    same "$name: as the whole" "$(nll folder-with-one-gguf)" "$(nll ${name////_})"
done
rm "$T/c/split/m-00002-of-00002.gguf"
refuse split "missing shard m-00002-of-00002.gguf"

# What takes a .bise file says how to make one.
for name in demo-no-window no-bos.gguf; do
    expect_exit "run -m $name" 3 "bise quantize $T/c/$name -o " "$BISE" run -m "$T/c/$name" -p a
done
expect_exit "run -m x.safetensors" 3 "bise quantize $T/c/demo-no-window -o " \
    "$BISE" run -m "$T/c/demo-no-window/model.safetensors" -p a

# Hostile ones: refused by name, within 256 MB.
H=$SHARED/cases/hostile
if [ ! -d "$H" ]; then
    skipped "hostile checkpoints" "$H is not there"
    finish
    exit
fi
gzip -dc "$H/F4-gguf-amplify.gguf.gz" >"$T/F4.gguf"
gzip -dc "$H/F12-collide-60000.model.gz" >"$T/F12.model"
bounded() { ( [ -n "$SANITIZER" ] || ulimit -v 262144; exec "$BISE" "$@" ) }
expect_exit "an index that names GGUF files" 3 "expected a safetensors file as its set is made of, found a GGUF file" \
    bounded quantize "$H/F1-two-gguf" -o "$T/x.bise"
expect_exit "a pickle that amplifies" 3 "a tensor's name of 65536 bytes" bounded quantize "$H/F2-pickle-amplify" -o "$T/x.bise"
expect_exit "a GGUF file that amplifies" 3 "more tensors than any model has" bounded quantize "$T/F4.gguf" -o "$T/x.bise"
same "pieces that collide in other tables" 1 "$(printf 'a' | bounded tokenize -m "$T/F12.model" | wc -w)"
finish
