#!/usr/bin/env bash
# synth, inspect and verify as a user runs them.
. tests/cli/common.sh

shape=dim=96,ffn=200,layers=2,heads=6,kv=2,vocab=100,window=32
for type in i4 i8 bf16 f32; do
    expect "synth_$type" "$BISE" synth --shape $shape --type $type -o "$T/$type.bise"
    expect "verify_$type" "$BISE" verify "$T/$type.bise"
    expect "inspect_$type" "$BISE" inspect "$T/$type.bise"
    if grep -q "layers mostly $type" "$T/.out" && grep -q 'sliding window 32' "$T/.out"; then
        ok "inspect_says_$type"
    else
        not_ok "inspect_says_$type"
    fi
done
expect synth_mixture "$BISE" synth --shape $shape,experts=3,top=2 -t 3 -o "$T/moe.bise"
expect synth_mixture_again "$BISE" synth --shape $shape,experts=3,top=2 -t 1 -o "$T/moe2.bise"
same_files same_for_any_threads "$T/moe.bise" "$T/moe2.bise"
expect synth_other_seed "$BISE" synth --shape $shape,experts=3,top=2 --seed 2 -o "$T/moe3.bise"
differ seed_matters "$T/moe.bise" "$T/moe3.bise"

if command -v python3 >/dev/null; then
    "$BISE" inspect --json "$T/moe.bise" >"$T/moe.json"
    expect inspect_json python3 - "$T/moe.json" <<'END'
import json, sys
m = json.load(open(sys.argv[1]))
assert m["config"]["n_experts"] == 3 and m["config"]["window"] == 32
t = {x["name"]: x for x in m["tensors"]}
assert t["layers.1.feed_forward.experts.2.w2"]["shape"] == [96, 200]
assert t["layers.0.feed_forward.gate"]["type"] == "f32"
assert t["output"]["type"] == "i8" and len(t["layers.0.attention.wq"]["codebook"]) == 16
assert max(x["offset"] + x["bytes"] for x in m["tensors"]) == m["file_bytes"]
END
else
    skipped inspect_json "no python3"
fi

expect synth_padding "$BISE" synth --shape dim=72,ffn=200,layers=2,heads=6,kv=2,vocab=100 -o "$T/gap.bise"
gap=$("$BISE" inspect --json "$T/gap.bise" |
    sed -n 's/.*"layers.0.attention_norm".*"offset":\([0-9]*\),"bytes":\([0-9]*\),.*/\1 \2/p' | awk '{ print $1 + $2 }')
printf x | dd of="$T/gap.bise" bs=1 seek="$gap" conv=notrunc 2>/dev/null
"$BISE" verify "$T/gap.bise" >"$T/out"
status=$?
if [ $status -eq 3 ] && grep -q "^damaged: padding at offset $gap:" "$T/out"; then
    ok verify_names_padding
else
    not_ok verify_names_padding "exit status $status: $(cat "$T/out")"
fi

expect checkpoint "$BISE" synth --shape $shape --checkpoint "$T/ck"
expect_exit checkpoint_exists 3 'File exists' "$BISE" synth --shape $shape --checkpoint "$T/ck"
if [ -s "$T/ck/config.json" ] && [ -s "$T/ck/model-00001-of-00001.safetensors" ] &&
    [ -s "$T/ck/model.safetensors.index.json" ]; then
    ok checkpoint_files
else
    not_ok checkpoint_files
fi

expect checkpoint_quantizes "$BISE" quantize "$T/ck" -o "$T/ck.bise" --type i4
expect checkpoint_verifies "$BISE" verify "$T/ck.bise"

# Stopped in the middle, synth leaves nothing.
mkdir "$T/stop"
"$BISE" synth --shape dim=1024,ffn=4096,layers=16,heads=8 --type f32 -o "$T/stop/x.bise" \
    2>"$T/.err" &
pid=$!
while kill -0 $pid 2>/dev/null && [ -z "$(ls "$T/stop")" ]; do sleep 0.02; done
kill -TERM $pid 2>/dev/null
wait $pid
status=$?
if [ $status -eq 4 ]; then
    skipped synth_interrupted "no room for 1 GB"
elif [ $status -eq 130 ] && [ -z "$(ls "$T/stop")" ]; then
    ok synth_interrupted
else
    not_ok synth_interrupted "exit status $status, left: $(ls "$T/stop")"
fi

# One flipped byte of data is found, and where; one in the header keeps the file shut.
size=$(stat -c %s "$T/i4.bise")
flip() { # flip FILE OFFSET
    local old
    old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %03o $((old ^ 64)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp "$T/i4.bise" "$T/bad.bise"
flip "$T/bad.bise" $((size - 1))
"$BISE" verify "$T/bad.bise" >"$T/.out" 2>&1
if [ $? -eq 3 ] && grep -q '^damaged: output, .* at offset' "$T/.out"; then
    ok verify_names_tensor
else
    not_ok verify_names_tensor
fi
cp "$T/i4.bise" "$T/bad.bise"
flip "$T/bad.bise" 70
for command in verify inspect; do
    expect_exit "${command}_damaged_header" 3 'header is damaged' "$BISE" $command "$T/bad.bise"
done
head -c $((size - 1)) "$T/i4.bise" >"$T/short.bise"
for command in verify inspect; do
    expect_exit "${command}_truncated" 3 '1 are missing' "$BISE" $command "$T/short.bise"
    expect_exit "${command}_no_file" 3 'no such file' "$BISE" $command "$T/none.bise"
    expect_exit "${command}_no_argument" 2 'expected one MODEL' "$BISE" $command
    expect_exit "${command}_other_file" 3 'not a .bise file' "$BISE" $command README.md
done

expect_exit synth_no_shape 2 '--shape' "$BISE" synth -o "$T/x.bise"
expect_exit synth_unknown_key 2 'unknown key "dims"' "$BISE" synth --shape dims=3 -o "$T/x.bise"
expect_exit synth_no_number 2 'whole number' "$BISE" synth --shape dim=3x -o "$T/x.bise"
expect_exit synth_bad_heads 2 'multiple' "$BISE" synth --shape $shape,kv=5 -o "$T/x.bise"
expect_exit synth_type 2 '--type' "$BISE" synth --shape $shape --type i5 -o "$T/x.bise"
expect_exit synth_no_room 4 'left' "$BISE" synth \
    --shape dim=1048576,ffn=1048576,layers=1024,heads=1024,vocab=4194304 -o "$T/x.bise"
expect_exit synth_no_folder 3 'No such file' "$BISE" synth --shape $shape -o "$T/no/x.bise"
finish
