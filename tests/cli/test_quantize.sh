#!/usr/bin/env bash
# bise quantize: every layout in, one sound file out; bad input named, nothing left behind.
. tests/cli/common.sh
expect_exit "a limit on files" 3 "File too large" bash -c \
    "ulimit -f 8; '$BISE' quantize tests/data/golden/consolidated-swa -o '$T/limited.bise' --no-tokenizer"
golden=tests/data/golden
tokenizer=tests/data/demo/tokenizer.model

# case NAME: a fresh copy of a small checkpoint in $C, its output to be $C.bise.
fresh() {
    C=$T/$1
    rm -rf "$C" "$C".bise*
    cp -r "$golden/${2:-gqa-swa}" "$C"
    chmod -R u+w "$C"
}

# refused NAME CODE TEXT [OPTION...]: quantizing $C fails so, and leaves no file.
refused() {
    local name=$1 code=$2 text=$3
    shift 3
    expect_exit "$name" "$code" "$text" "$BISE" quantize "$C" -o "$C.bise" "$@"
    local left
    left=$(find "$T" -name "$(basename "$C").bise*")
    [ -z "$left" ] || not_ok "$name: no output" "found $left"
}

# safetensors FILE HEADER BYTES: a file of that header and so many zeros.
safetensors() {
    local n=${#2} i bytes=
    for i in 0 1 2 3 4 5 6 7; do
        bytes+=$(printf '\\%03o' $((n >> (8 * i) & 255)))
    done
    # shellcheck disable=SC2059 # the escapes are the point
    printf "$bytes" >"$1"
    printf '%s' "$2" >>"$1"
    head -c "$3" /dev/zero >>"$1"
}

sums() { cksum <"$1"; }

## What works

for m in gqa-swa mixtral mqa-f16 head-dim sharded-odd consolidated-swa consolidated-moe; do
    for type in i4 f32; do
        out=$T/$m-$type.bise
        if "$BISE" quantize "$golden/$m" -o "$out" --type $type >"$T/.log" 2>&1 &&
            "$BISE" verify "$out" >>"$T/.log" 2>&1; then
            ok "$m as $type"
        else
            not_ok "$m as $type"
            tail -n 5 "$T/.log"
        fi
    done
done
expect "a single file" "$BISE" quantize "$golden/head-dim/model.safetensors" -o "$T/single.bise" \
    --type f32
if [ "$(sums "$T/single.bise")" = "$(sums "$T/head-dim-f32.bise")" ]; then
    ok "a single file gives the same bytes as its folder"
else
    not_ok "a single file gives the same bytes as its folder"
fi
for threads in 1 3; do
    "$BISE" quantize "$golden/mixtral" -o "$T/t$threads.bise" --type i4 -t $threads 2>/dev/null
done
same_files "the number of threads does not change the file" "$T/t1.bise" "$T/t3.bise"

"$BISE" quantize "$golden/gqa-swa" -o "$T/lines.bise" --type i4 --head f32 --embed bf16 2>"$T/lines"
if grep -Eq '^tensor +type +in the source +in the file  error relative to the weights$' "$T/lines" &&
    grep -Eq '^layers\.0\.attention\.wq +i4 +[0-9.]+ MB -> +[0-9.]+ MB +error [0-9.]+e-02$' \
    "$T/lines" && grep -Eq '^output +f32 .* error 0\.000e\+00$' "$T/lines" &&
    grep -Eq '^tok_embeddings +bf16 ' "$T/lines" && grep -Eq '^norm +f32 ' "$T/lines" &&
    grep -Eq 'bits per weight, [0-9.]+ in layers, [0-9.]+ s, [0-9]+ MB/s$' "$T/lines"; then
    ok "a line for every tensor, and a summary"
else
    not_ok "a line for every tensor, and a summary"
    cat "$T/lines"
fi

## Types

fresh types
expect "--tensor" "$BISE" quantize "$C" -o "$C.bise" --tensor 'w[13]$=i8' --tensor '^layers\.1\..*w1=f32' \
    --tensor output=bf16
types() { "$BISE" inspect --tensors "$C.bise" | awk -v name="$1" '$1 == name { print $3 }'; }
for want in layers.0.feed_forward.w1:i8 layers.1.feed_forward.w1:f32 layers.1.feed_forward.w3:i8 \
    layers.1.feed_forward.w2:i4 layers.0.attention.wq:i4 output:bf16 tok_embeddings:i8 norm:f32; do
    found=$(types "${want%:*}")
    [ "$found" = "${want#*:}" ] && ok "$want" || not_ok "$want" "found $found"
done
"$BISE" inspect "$C.bise" | grep -q 'recipe .*w\[13\]$=i8, ' && ok "the recipe holds the rules" ||
    not_ok "the recipe holds the rules"
rm "$C.bise"
refused "--tensor without a type" 2 'expected REGEX=TYPE, found "w1"' --tensor w1
refused "--tensor of no type" 2 'expected i4, i8, bf16 or f32, found "i5"' --tensor w1=i5
refused "--tensor with a bad regex" 2 '--tensor: "w[1": ' --tensor 'w[1=i4'
refused "--tensor of a norm" 2 'no matrix has a name like "norm$"' --tensor 'norm$=i8'
refused "--tensor of nothing" 2 'expected REGEX=TYPE' --tensor '=i8'

fresh both
cp "$golden/consolidated-swa/"{params.json,consolidated.safetensors} "$C"
expect_exit "two sets of weights" 0 "consolidated.safetensors is left out" \
    "$BISE" quantize "$C" -o "$C.bise"

## The tokenizer

fresh tokenizer
refused "a tokenizer larger than the vocabulary" 3 "at most 256 pieces, the model's vocabulary" \
    --tokenizer $tokenizer
expect_exit "no tokenizer" 0 "warning: $C holds no tokenizer.model" \
    "$BISE" quantize "$C" -o "$C.bise"
cp $tokenizer "$C/tokenizer.model"
rm "$C.bise"
refused "the tokenizer beside the weights is looked at" 3 "tokenizer.model: expected at most 256"
expect "--no-tokenizer" "$BISE" quantize "$C" -o "$C.bise" --no-tokenizer
rm "$C.bise"
echo nonsense >"$C/tokenizer.model"
refused "a damaged tokenizer" 3 "tokenizer.model"
"$BISE" synth --shape dim=32,ffn=32,layers=1,heads=2,vocab=4100 --checkpoint "$T/large" 2>/dev/null
expect_exit "a tokenizer smaller than the vocabulary" 0 "has 4096 pieces, the model's vocabulary 4100" \
    "$BISE" quantize "$T/large" -o "$T/large.bise" --tokenizer $tokenizer

## Tokens a fine-tune added

tuned=$T/tuned
"$BISE" synth --shape dim=32,ffn=32,layers=1,heads=2,vocab=4098 --checkpoint "$tuned" 2>/dev/null
cp $tokenizer "$tuned/tokenizer.model"
echo '{"</s>": 2, "<|im_end|>": 4096, "<|im_start|>": 4097}' >"$tuned/added_tokens.json"
expect_exit "added tokens" 0 \
    "$tuned/added_tokens.json: tokens added to the tokenizer: 2, ids 4096 to 4097" \
    "$BISE" quantize "$tuned" -o "$tuned.bise"
expect "the file with them is sound" "$BISE" verify "$tuned.bise"
enc() { printf '%b' "$1" | "$BISE" tokenize -m "$tuned.bise"; }
printf 'Hello\n' | "$BISE" chat -m "$tuned.bise" --chat-format chatml -sys 'Be kind.' --dump-tokens \
    --temp 0 -n 2 >/dev/null 2>"$T/tuned.err"
want="prompt ids: 1 4097 $(enc 'system\nBe kind.') 4096 $(enc '\n') 4097 $(enc 'user\nHello') 4096"
want+=" $(enc '\n') 4097 $(enc 'assistant\n')"
if grep -q -x -F "$want" "$T/tuned.err"; then
    ok "ChatML by its own tokens"
else
    not_ok "ChatML by its own tokens" "expected $want"
    cat "$T/tuned.err"
fi
if enc '<|im_start|>' | tr ' ' '\n' | grep -q -x 4097; then
    not_ok "a token's name in text is text"
else
    ok "a token's name in text is text"
fi
mkdir "$T/elsewhere"
cp $tokenizer "$T/elsewhere"
rm "$tuned/tokenizer.model"
expect_exit "a tokenizer from elsewhere, the tokens beside the weights" 0 "$tuned/added_tokens.json" \
    "$BISE" quantize "$tuned" -o "$T/tuned2.bise" \
    --tokenizer "$T/elsewhere/tokenizer.model"
same_files "and the same file" "$tuned.bise" "$T/tuned2.bise"
echo '{"<a>": 4097}' >"$T/elsewhere/added_tokens.json"
expect_exit "those beside the tokenizer come first, gaps are filled" 0 \
    "tokens added to the tokenizer: 1, ids 4096 to 4097, unused pieces between them: 1" \
    "$BISE" quantize "$tuned" -o "$T/tuned3.bise" --tokenizer "$T/elsewhere/tokenizer.model"
C=$tuned
rm "$C".bise
echo '{"<pad>": 4098}' >"$tuned/added_tokens.json"
expect_exit "a token for padding beyond the vocabulary" 0 "token for padding lies beyond the model's" \
    "$BISE" quantize "$tuned" -o "$T/tuned4.bise" --tokenizer $tokenizer
echo '{"<x>": 4098}' >"$tuned/added_tokens.json"
expect_exit "a token beyond the vocabulary" 0 \
    'added_tokens.json: token "<x>": 4098 is no id below the vocabulary' \
    "$BISE" quantize "$tuned" -o "$T/tuned4.bise" --tokenizer $tokenizer
echo '{"</s>": 4096}' >"$tuned/added_tokens.json"
refused "a token of another id" 3 'token "</s>": expected id 2 as in the tokenizer, found 4096' \
    --tokenizer $tokenizer
echo '{' >"$tuned/added_tokens.json"
refused "added_tokens.json is no JSON" 3 "added_tokens.json: byte" --tokenizer $tokenizer
expect "--no-tokenizer does not read it" "$BISE" quantize "$C" -o "$C.bise" --no-tokenizer

## The command line

fresh usage
expect_exit "no checkpoint" 2 "no checkpoint given" "$BISE" quantize -o "$T/x.bise"
expect_exit "no output" 2 "-o FILE is needed" "$BISE" quantize "$C"
expect_exit "an output without a name" 2 "-o: expected the name of a file, found none" \
    "$BISE" quantize "$C" -o ""
refused "--type" 2 '--type: expected i4, i8, bf16 or f32, found "q4"' --type q4
refused "--head" 2 '--head: expected i4, i8, bf16 or f32, found "x"' --head x
refused "--chat-format" 2 '--chat-format: expected v1' --chat-format v9
expect_exit "no such checkpoint" 3 "No such file" "$BISE" quantize "$T/nowhere" -o "$T/x.bise"
expect_exit "output in no folder" 3 "$T/nowhere/x.bise" "$BISE" quantize "$C" -o "$T/nowhere/x.bise"
mkdir "$T/folder.bise"
expect_exit "output is a folder" 3 "$T/folder.bise" "$BISE" quantize "$C" -o "$T/folder.bise"

## Damaged weights

fresh truncated
size=$(wc -c <"$C/model.safetensors")
head -c $((size - 1)) "$C/model.safetensors" >"$C/m" && mv "$C/m" "$C/model.safetensors"
refused "a truncated file" 3 "is the file truncated?"
head -c 100 "$golden/gqa-swa/model.safetensors" >"$C/model.safetensors"
refused "cut in the header" 3 "in a file of 100"
head -c 5 "$golden/gqa-swa/model.safetensors" >"$C/model.safetensors"
refused "cut in the length" 3 "expected a safetensors file, found one of 5 bytes"
: >"$C/model.safetensors"
refused "an empty file" 3 "found one of 0 bytes"
fresh oversized
printf 'more' >>"$C/model.safetensors"
refused "an oversized file" 3 "expected a file of $size bytes, found $((size + 4))"
fresh lengths
printf '\377\377\377\377\377\377\377\177' | dd of="$C/model.safetensors" conv=notrunc 2>/dev/null
refused "a header length beyond the file" 3 "expected a safetensors header within the file"
fresh header
safetensors "$C/model.safetensors" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12
refused "overlapping tensors" 3 "tensors a and b overlap"
safetensors "$C/model.safetensors" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}' 8
refused "offsets out of range" 3 "tensor a: offsets 8 to 16 lie outside"
safetensors "$C/model.safetensors" '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}' 0
refused "a shape that overflows" 3 "tensor a: the product of its shape overflows"
safetensors "$C/model.safetensors" '{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}' 4
refused "an unknown dtype" 3 'tensor a: unknown dtype "Q7"'
safetensors "$C/model.safetensors" '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 4
refused "no embedding" 3 "missing tensor: expected model.embed_tokens.weight"
safetensors "$C/model.safetensors" "$(printf '[%.0s' $(seq 10000))" 0
refused "a header nested 10,000 deep" 3 "byte 128: nested deeper than 128 levels"
fresh missing
LC_ALL=C sed -i 's/layers\.1\.mlp\.up_proj/layers.1.mlp.xp_proj/' "$C/model.safetensors"
refused "a missing tensor" 3 "missing tensor model.layers.1.mlp.up_proj.weight"
fresh nan
# The last two bytes are a bf16 of some tensor's last element.
printf '\300\177' | dd of="$C/model.safetensors" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
refused "a NaN among the weights" 3 "expected finite weights, found NaN at row"
printf '\200\377' | dd of="$C/model.safetensors" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
refused "an infinity among the weights" 3 "expected finite weights, found infinity at row"
fresh shard sharded-odd
rm "$C/model-00002-of-00003.safetensors"
refused "a missing shard" 3 "missing shard model-00002-of-00003.safetensors"

fresh pickle
rm "$C/model.safetensors"
cp tests/fuzz/corpus/pickle/os_system_zip "$C/pytorch_model.bin"
refused "a pickle with a program in it" 3 "byte 13: asks for posix.system"
cp tests/fuzz/corpus/pickle/torch_zip "$C/pytorch_model.bin"
refused "torch's weights of another model" 3 "expected shape"

cp tests/fuzz/corpus/gguf/version2 "$T/cut.gguf"
expect_exit "a GGUF file without a layer" 3 "missing tensor blk.0.attn_norm.weight" \
    "$BISE" quantize "$T/cut.gguf" -o "$T/cut.bise" --window 64

## Configs

# config NAME SED-SCRIPT TEXT: config.json changed so is refused.
config() {
    fresh config
    sed -i "$2" "$C/config.json"
    refused "$1" 3 "$3"
}
config "no hidden_size" '/"hidden_size"/d' "config.json: hidden_size: expected a whole number"
config "no num_hidden_layers" '/"num_hidden_layers"/d' "num_hidden_layers: expected"
config "another shape" 's/"intermediate_size": 256/"intermediate_size": 257/' \
    "expected shape [257][128], found [256][128]"
config "another architecture" 's/MistralForCausalLM/GPTNeoXForCausalLM/' "found GPTNeoXForCausalLM"
config "rope_scaling" 's/{/{"rope_scaling": {"type": "linear"},/' "rope_scaling is not supported"
config "attention_bias" 's/{/{"attention_bias": true,/' "attention_bias is not supported"
config "another activation" 's/"silu"/"gelu"/' "hidden_act: expected silu, found gelu"
config "heads not divisible by KV heads" 's/"num_key_value_heads": 2/"num_key_value_heads": 3/' \
    "multiple of the number of KV heads, found 4 and 3"
config "sliding_window in words" 's/"sliding_window": [0-9]*/"sliding_window": "wide"/' \
    'sliding_window: expected null or a number, found "wide"'
config "not JSON" 's/:/;/' "config.json: byte"
config "invalid UTF-8" 's/silu/s\xff/' "invalid UTF-8"
fresh deep
{ printf '[%.0s' $(seq 10000); } >"$C/config.json"
refused "config.json nested 10,000 deep" 3 "config.json: byte 128: nested deeper than 128 levels"
rm "$C/config.json"
refused "no config.json" 3 "expected config.json beside the weights"
fresh tekken
echo '{}' >"$C/tekken.json"
refused "a tekken tokenizer" 3 "tekken tokenizers are not supported"

fresh windows
for window in '"16"' null; do
    sed -i "s/\"sliding_window\": [^,]*/\"sliding_window\": $window/" "$C/config.json"
    expect "sliding_window: $window" "$BISE" quantize "$C" -o "$C.bise"
done
sed -i '/"rope_theta"/d' "$C/config.json"
expect "no rope_theta" "$BISE" quantize "$C" -o "$C.bise"

## Stopped in the middle

"$BISE" synth --shape dim=1024,ffn=3072,layers=6,heads=8,vocab=2000 --checkpoint "$T/big" 2>/dev/null

# stopped SIGNAL: quantizes $T/big, sends the signal once the temporary file is there; the exit code.
stopped() {
    "$BISE" quantize "$T/big" -o "$T/stopped.bise" -t 1 2>"$T/stopped.err" &
    local pid=$!
    while [ -z "$(find "$T" -name 'stopped.bise?*')" ] && kill -0 $pid 2>/dev/null; do :; done
    kill -s "$1" $pid
    wait $pid 2>/dev/null
}
expect "quantize -q" "$BISE" quantize $golden/gqa-swa -o "$T/quiet.bise" -q --no-tokenizer
same "says nothing" "" "$(cat "$T/.out" "$T/.err")"
rm -f "$T/quiet.bise"
stopped INT
code=$?
if [ $code -eq 130 ] && [ ! -e "$T/stopped.bise" ] && grep -q '^bise quantize: interrupted$' "$T/stopped.err"; then
    ok "SIGINT"
else
    not_ok "SIGINT" "exit status $code"
    cat "$T/stopped.err"
fi
rm -f "$T"/stopped.bise.*
stopped KILL
if [ -e "$T/stopped.bise" ]; then
    not_ok "SIGKILL" "a file under the final name"
elif "$BISE" inspect "$T/stopped.bise.part" >/dev/null 2>&1; then
    not_ok "SIGKILL" "the temporary file looks finished"
else
    ok "SIGKILL"
fi
rm -f "$T"/stopped.bise.*

## A matrix of heavy tails gets the codebook made for them, one of light tails the usual one

if command -v python3 >/dev/null; then
    "$BISE" synth --shape dim=128,ffn=256,layers=2,heads=2,vocab=64 --checkpoint "$T/tails" 2>/dev/null
    python3 - "$T/tails/model-00001-of-00001.safetensors" <<'END'
import json, struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
n = struct.unpack("<Q", data[:8])[0]
tensors = json.loads(data[8 : 8 + n])
for name, power in (("up_proj", 2), ("gate_proj", 0.5)):
    begin, end = tensors[f"model.layers.1.mlp.{name}.weight"]["data_offsets"]
    for at in range(8 + n + begin, 8 + n + end, 2):
        x = struct.unpack("<f", bytes(2) + data[at : at + 2])[0]
        data[at : at + 2] = struct.pack("<f", x * (abs(x) + 1e-9) ** (power - 1))[2:]
open(sys.argv[1], "wb").write(data)
END
    expect "heavy tails" "$BISE" quantize "$T/tails" -o "$T/tails.bise" --chat-format none
    "$BISE" inspect --json "$T/tails.bise" |
        sed -n 's/.*"name":"layers.1.feed_forward.\(w[13]\)",.*"codebook":\[\(-32,-[0-9]*\),.*/\1 \2/p' |
        sort >"$T/codebooks"
    expect "the codebooks" diff "$T/codebooks" - <<<$'w1 -32,-24\nw3 -32,-23'
else
    skipped "heavy tails" "no python3"
fi

## A full disk

mkdir "$T/tmpfs"
if mount -t tmpfs -o size=1m tmpfs "$T/tmpfs" 2>/dev/null; then
    expect_exit "a disk that is too small" 4 "$T/tmpfs/x.bise" \
        "$BISE" quantize "$golden/mixtral" -o "$T/tmpfs/x.bise" --type f32
    [ -z "$(ls "$T/tmpfs")" ] || not_ok "a disk that is too small: nothing left" "$(ls "$T/tmpfs")"
    "$BISE" synth --shape dim=64,ffn=96,layers=1,heads=2,vocab=4096 --checkpoint "$T/dense" 2>/dev/null
    "$BISE" quantize "$T/dense" -o "$T/dense.bise" --type i8 --tokenizer $tokenizer 2>/dev/null
    for i in {1..40}; do echo "The old king looked at troll number $i and sang of gold."; done >"$T/words"
    full() { # full NAME COMMAND...: exit code 4, and nothing is left on the disk
        expect_exit "no space for $1" 4 "" "${@:2}"
        [ -z "$(find "$T/tmpfs" -type f)" ] || not_ok "no space for $1: nothing left" "$(ls "$T/tmpfs")"
    }
    # 1 MB holds the file in i4, but not its source in bf16 beside it.
    expect_exit "no space for a reference" 4 "x.bise.reference needs" "$BISE" quantize "$T/dense" \
        -o "$T/tmpfs/x.bise" --head i4 --embed i4 --eval "$T/words" --tokenizer $tokenizer
    rm -f "$T/tmpfs"/*
    full logits "$BISE" perplexity -m "$T/dense.bise" --text "$T/words" --logits "$T/tmpfs/logits" -c 128
    full "a baseline" "$BISE" perplexity -m "$T/dense.bise" --text "$T/words" -c 128 \
        --kl-base "$T/tmpfs/base"
    head -c 1000000 /dev/zero >"$T/tmpfs/full" 2>/dev/null
    head -c 100000 /dev/zero >>"$T/tmpfs/full" 2>/dev/null
    expect_exit "no space for statistics" 4 "$T/tmpfs/stats" "$BISE" calibrate -m "$T/dense.bise" \
        -f "$T/words" -o "$T/tmpfs/stats" -c 64
    [ "$(ls "$T/tmpfs")" = full ] || not_ok "no space for statistics: nothing left" "$(ls "$T/tmpfs")"
    umount "$T/tmpfs"
else
    skipped "a disk that is too small" "mounting a tmpfs is not permitted"
fi
## A tokenizer that is no tokenizer

fresh pointer
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 493443\n' >"$C/tokenizer.model"
refused "a git-lfs pointer" 3 "tokenizer.model is a git-lfs pointer, not the file of 493443 bytes"
printf '<!DOCTYPE html>' >"$C/tokenizer.model"
refused "a page of HTML" 3 "tokenizer.model is a page of HTML"
rm "$C/tokenizer.model"
printf '{"version": "1.0"}' >"$C/tokenizer.json"
refused "a tokenizer.json without a model" 3 "tokenizer.json: model: not as a tokenizer.json has it"

## What says nothing of conversations: what to do stands last

fresh v1
expect_exit "no chat format" 0 "bise set $T/unknown.bise --chat-format NAME" \
    "$BISE" quantize "$C" -o "$T/unknown.bise" --no-tokenizer
expect "which it takes" "$BISE" set "$T/unknown.bise" --chat-format v1

## A name that says Instruct, and nothing else that does

fresh v1-Instruct
expect_exit "the file that is missing, and the flag" 0 \
    "follows instructions, but tokenizer_config.json, which has the template, is missing: put it beside the weights, or give --chat-format" \
    "$BISE" quantize "$C" -o "$T/instruct.bise" --no-tokenizer
same "it is the last there is" 1 "$(tail -n 3 "$T/.err" | grep -c "tokenizer_config.json")"

## The demo model, as models/README.md says

recipe=$(sed -n 's/^    bise quantize demo -o models\/demo.bise //p' models/README.md)
if [ -e "$SHARED/demo/model.safetensors" ]; then
    # shellcheck disable=SC2086 # options
    expect "the demo model's recipe" "$BISE" quantize "$SHARED/demo" -o "$T/demo.bise" ${recipe:?}
    same_files "gives models/demo.bise" models/demo.bise "$T/demo.bise"
else
    skipped "the demo model's recipe" "$SHARED/demo is not there"
fi
finish
