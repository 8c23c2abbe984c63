#!/usr/bin/env bash
# bise diff: errors by tensor, and what cannot be compared.
. tests/cli/common.sh
golden=tests/data/golden
quantize() { "$BISE" quantize "$@" --no-tokenizer >/dev/null 2>"$T/.err" || not_ok "quantize $*"; }
for type in f32 i8 i4; do quantize $golden/gqa-swa -o "$T/$type.bise" --type $type; done
quantize $golden/consolidated-swa -o "$T/consolidated.bise" --type f32

expect "a checkpoint and its floats" "$BISE" diff $golden/gqa-swa "$T/f32.bise"
grep -q '^30 tensors compared, 30 of them the same$' "$T/.out" && ok "are the same" ||
    not_ok "are the same" "$(tail -n 3 "$T/.out")"
expect "consolidated weights and their floats" "$BISE" diff "$T/consolidated.bise" $golden/consolidated-swa
grep -Eq '^([0-9]+) tensors compared, \1 of them the same$' "$T/.out" &&
    ok "in whatever order of rows" || not_ok "in whatever order of rows" "$(tail -n 3 "$T/.out")"

expect "i4 and i8" "$BISE" diff "$T/i8.bise" "$T/i4.bise"
grep -Eq '^layers\.0\.attention\.wq +8\.[0-9]+ +4\.[0-9]+ +[678]\.[0-9]{4}e-02 ' "$T/.out" &&
    grep -Eq '^output +8\.[0-9]+ +8\.[0-9]+ +0\.0000e\+00 ' "$T/.out" &&
    grep -Eq '^all +8\.[0-9]+ +[0-9.]+ +[0-9.]+e-02 ' "$T/.out" &&
    ok "bits and errors" || not_ok "bits and errors" "$(cat "$T/.out")"
# The same error as the file remembers from when it was made.
"$BISE" diff "$T/f32.bise" "$T/i4.bise" --json >"$T/json" 2>"$T/.err"
"$BISE" inspect --json "$T/i4.bise" >"$T/inspect"
error() { grep -o "\"name\":\"$2\".*" "$1" | sed 's/.*"error":\([0-9.e-]*\).*/\1/'; }
for name in layers.0.attention.wk layers.2.feed_forward.w2 output; do
    a=$(error "$T/json" $name) b=$(error "$T/inspect" $name)
    awk -v a="$a" -v b="$b" 'BEGIN { exit !(a > 0 && a < b * 1.0001 && a > b * 0.9999) }' &&
        ok "the error of $name" || not_ok "the error of $name" "$a and $b"
done
for threads in 1 3; do
    "$BISE" diff "$T/f32.bise" "$T/i4.bise" --json -t $threads >"$T/json$threads" 2>"$T/.err"
done
same_files "the number of threads does not matter" "$T/json1" "$T/json3"

shape=dim=64,layers=1,heads=2,vocab=96
"$BISE" synth --shape $shape,ffn=96 -o "$T/a.bise" 2>"$T/.err"
"$BISE" synth --shape $shape,ffn=128 -o "$T/b.bise" 2>"$T/.err"
expect_exit "other shapes" 1 "layers.0.feed_forward.w2: shape [64][96] and [64][128]" \
    "$BISE" diff "$T/a.bise" "$T/b.bise"
grep -q '^9 tensors compared' "$T/.out" && ok "the rest is compared" || not_ok "the rest is compared"
"$BISE" synth --shape ${shape/layers=1/layers=2},ffn=96,window=32 -o "$T/b.bise" 2>"$T/.err"
expect_exit "more layers" 1 "layers.1.attention.wq: only in the second" "$BISE" diff "$T/a.bise" "$T/b.bise"
expect_exit "fewer layers" 1 "layers.1.attention.wq: only in the first" "$BISE" diff "$T/b.bise" "$T/a.bise"
grep -q 'window: 32 and 0' "$T/.err" && ok "another config" || not_ok "another config" "$(cat "$T/.err")"
expect_exit "one model" 2 "expected two models" "$BISE" diff "$T/a.bise"
expect_exit "no second model" 3 "$T/none.bise" "$BISE" diff "$T/a.bise" "$T/none.bise"
finish
