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
    expect "f32: the same bits with calls of $chunk" cmp "$T/a.f32" "$T/b.f32"
done
expect "another start" ppl --ids "$T/ids.txt" --logits "$T/c.f32" --start-pos 1000003
cmp -s "$T/a.f32" "$T/c.f32" && not_ok "a start position changes the angles" ||
    ok "a start position changes the angles"

expect_exit "neither text nor ids" 2 "either --text FILE or --ids FILE" ppl
expect_exit "no such file" 3 "no-such-file" ppl --ids "$T/no-such-file"
echo "1 2 x" >"$T/bad.txt"
expect_exit "not a number" 3 'found "x' ppl --ids "$T/bad.txt"
echo "1 2 3 4 160" >"$T/bad.txt"
expect_exit "an id beyond the vocabulary" 2 "expected an id below 160, found 160" ppl --ids "$T/bad.txt"
expect_exit "too few tokens" 3 "expected at least" ppl --ids /dev/null
expect_exit "no tokenizer" 2 "tokenizer" ppl --text "$T/ids.txt"
expect_exit "unknown instruction set" 2 "no-such-isa" ppl --ids "$T/ids.txt" --isa no-such-isa
finish
