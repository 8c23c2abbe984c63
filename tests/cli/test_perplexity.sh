#!/usr/bin/env bash
# bise perplexity: counts, logits, faults in the input.
. tests/cli/common.sh

shape=dim=64,ffn=96,layers=2,heads=2,kv=1,vocab=160,window=16
"$BISE" synth --shape $shape --type f32 -o "$T/tiny.bise" 2>"$T/.err" || not_ok "synth" "$(cat "$T/.err")"
for i in $(seq 1 70); do echo $((i * 37 % 160)); done >"$T/ids.txt"
ppl() { "$BISE" perplexity -m "$T/tiny.bise" "$@"; }

expect "a sequence of ids" ppl --ids "$T/ids.txt" --logits "$T/a.f32" --chunk 16
[ "$(stat -c %s "$T/a.f32")" -eq $((70 * 160 * 4)) ] && ok "logits of every position" ||
    not_ok "logits of every position"
ppl --ids "$T/ids.txt" --json >"$T/json" 2>"$T/.err"
grep -q '"predicted": 69,' "$T/json" && ok "all but the first token are predicted" ||
    not_ok "all but the first token are predicted" "$(cat "$T/json")"
for chunk in 1 7; do
    expect "calls of $chunk" ppl --ids "$T/ids.txt" --logits "$T/b.f32" --chunk $chunk -t 3
    same_files "f32: the same bits with calls of $chunk" "$T/a.f32" "$T/b.f32"
done
expect "another start" ppl --ids "$T/ids.txt" --logits "$T/c.f32" --start-pos 1000003
differ "a start position changes the angles" "$T/a.f32" "$T/c.f32"

## A baseline

expect "a baseline is written" ppl --ids "$T/ids.txt" --kl-base "$T/base" --chunk 16
expect "and read" ppl --kl "$T/base"
grep -Eq '^KL divergence: mean [0-9.]+e-(0[89]|[1-9][0-9]) ' "$T/.out" && ok "a model is near to itself" ||
    not_ok "a model is near to itself" "$(cat "$T/.out")"
grep -q '^same top token: 100.00 ' "$T/.out" && grep -q "^baseline: $T/tiny.bise, f32$" "$T/.out" &&
    ok "and the same on top" || not_ok "and the same on top" "$(cat "$T/.out")"
ppl --kl "$T/base" --json >"$T/json" 2>"$T/.err"
grep -q '"predicted": 69,.*"kl": .*"kl_p99_error": .*"same_top": 1,.*"log_ratio_error": ' "$T/json" &&
    ok "the divergence as JSON" || not_ok "the divergence as JSON" "$(cat "$T/json")"
expect "the model with 4 bits" "$BISE" quantize "$T/tiny.bise" -o "$T/i4.bise" --no-tokenizer
expect "what 4 bits lose" "$BISE" perplexity -m "$T/i4.bise" --kl "$T/base"
grep -Eq '^KL divergence: mean [0-9.]+e-0[1-4] \+- [0-9.]+e-0[1-5], 99th' "$T/.out" &&
    ok "4 bits are further away" || not_ok "4 bits are further away" "$(cat "$T/.out")"
expect "its weights as floats" "$BISE" quantize "$T/i4.bise" -o "$T/w.bise" --type f32 --no-tokenizer
expect "once more" "$BISE" quantize "$T/w.bise" -o "$T/w2.bise" --type f32 --no-tokenizer
expect "and what their rounding alone loses" "$BISE" perplexity -m "$T/w.bise" --kl "$T/base"
expect_exit "a baseline of another vocabulary" 3 "expected a vocabulary of 96, the model's, found 160" \
    bash -c "'$BISE' synth --shape dim=64,ffn=96,layers=1,heads=2,vocab=96 -o '$T/other.bise' &&
        '$BISE' perplexity -m '$T/other.bise' --kl '$T/base'"
expect_exit "a baseline and a text" 2 "--kl FILE brings its own tokens" ppl --kl "$T/base" --text "$T/ids.txt"
expect_exit "sequences of ids" 2 "--sequences: of a --text only" ppl --ids "$T/ids.txt" --sequences 8
expect_exit "no baseline" 3 "not a baseline" ppl --kl "$T/ids.txt"
head -c 5000 "$T/base" >"$T/cut"
expect_exit "half a baseline" 3 "copied whole" ppl --kl "$T/cut"

demo() { "$BISE" perplexity -m models/demo.bise --text README.md "$@"; }
expect "sequences after BOS" demo --sequences 100 --tokens 250 --json
grep -q '"tokens": 200, "windows": 2, "window": 101, "predicted": 200,' "$T/.out" &&
    ok "every token of them is predicted" || not_ok "every token of them is predicted" "$(cat "$T/.out")"
expect "the first tokens of a text" demo -c 64 --tokens 200 --json
grep -q '"tokens": 192, "windows": 3, "window": 64, "predicted": 93,' "$T/.out" &&
    ok "in windows" || not_ok "in windows" "$(cat "$T/.out")"
expect_exit "both kinds of windows" 2 "no -c beside it" demo --sequences 100 -c 100

expect_exit "neither text nor ids" 2 "either --text FILE, --ids FILE or --kl FILE" ppl
expect_exit "no such file" 3 "no-such-file" ppl --ids "$T/no-such-file"
echo "1 2 x" >"$T/bad.txt"
expect_exit "not a number" 3 'found "x' ppl --ids "$T/bad.txt"
echo "1 2 3 4 160" >"$T/bad.txt"
expect_exit "an id beyond the vocabulary" 2 "expected an id below 160, found 160" ppl --ids "$T/bad.txt"
expect_exit "too few tokens" 3 "expected at least" ppl --ids /dev/null
expect_exit "no tokenizer" 2 "tokenizer" ppl --text "$T/ids.txt"
expect_exit "unknown instruction set" 2 "no-such-isa" ppl --ids "$T/ids.txt" --isa no-such-isa
finish
