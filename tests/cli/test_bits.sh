#!/usr/bin/env bash
# bise quantize --bits: what is chosen, guessed and measured.
. tests/cli/common.sh
[ "${TEST_SIZE:-}" = full ] || {
    skipped bits "a part of make check-all (TEST_SIZE=full)"
    exit
}

shape=dim=256,ffn=512,layers=2,heads=4,kv=2,vocab=4096
"$BISE" synth --shape $shape --checkpoint "$T/ck" 2>/dev/null || not_ok "synth"
cp tests/data/demo/tokenizer.model "$T/ck"
quantize() { "$BISE" quantize "$T/ck" -o "$T/m.bise" "$@"; }
n_i8() { "$BISE" inspect --tensors "$1" | grep -c '^layers.* i8 '; }

for want in 4.25:0 4.85: 6: 8.25:14; do
    expect "--bits ${want%:*}" quantize --bits "${want%:*}"
    found=$(n_i8 "$T/m.bise")
    said=$(sed -n 's/^--bits [0-9.]*: i8 for \([0-9]*\) of 14, guessed; layers .* whole file .*/\1/p' "$T/.err")
    listed=$(grep -c '^  layers\..* i8  loss ' "$T/.err")
    [ "$found" = "$said" ] && [ "$found" = "$listed" ] && ok "$found matrices in i8" ||
        not_ok "$found matrices in i8" "said $said, listed $listed"
    [ -z "${want#*:}" ] || [ "$found" = "${want#*:}" ] || not_ok "--bits ${want%:*}: $found in i8"
    bits=$(sed -n 's/^--bits.*; layers \([0-9.]*\) bits per weight, .*/\1/p' "$T/.err")
    awk -v b="$bits" -v w="${want%:*}" 'BEGIN { exit !(b <= w && b > w - 0.7) }' &&
        ok "$bits bits are within" || not_ok "$bits bits"
done
"$BISE" inspect "$T/m.bise" | grep -q 'recipe .*layers with i8 to 8.25 bits' && ok "the recipe" || not_ok "the recipe"

expect "rules come first" quantize --bits 6 --tensor 'w2$=i4' --tensor 'wq$=i8'
"$BISE" inspect --tensors "$T/m.bise" | grep -q '^layers\.[01]\.feed_forward\.w2 .* i8 ' &&
    not_ok "a matrix named by a rule is not chosen" || ok "a matrix named by a rule is not chosen"
[ "$("$BISE" inspect --tensors "$T/m.bise" | grep -c 'wq .* i8 ')" = 2 ] && ok "but counts" || not_ok "but counts"

expect "measured on a text" quantize --bits 5 --sensitivity README.md
grep -q '^measuring what 14 matrices lose: about ' "$T/.err" && grep -q ' of 14, measured; ' "$T/.err" &&
    ok "and said so" || not_ok "and said so" "$(cat "$T/.err")"
cp "$T/m.bise" "$T/first.bise"
expect "once more" quantize --bits 5 --sensitivity README.md -t 1
same_files "the same file with one thread" "$T/m.bise" "$T/first.bise"
expect "floats as the source" "$BISE" quantize "$T/ck" -o "$T/f32.bise" --type f32
expect "need no temporary file" "$BISE" quantize "$T/f32.bise" -o "$T/m.bise" --bits 8.25 --sensitivity README.md
cp "$T/.err" "$T/measured"
left=$(find "$T" -name '*reference*' -o -name '*.bise-tmp-*')
[ -z "$left" ] && ok "nothing is left behind" || not_ok "nothing is left behind" "$left"

# A matrix measured in place loses what the same loses in a file of its own.
"$BISE" perplexity -m "$T/f32.bise" --text README.md --sequences 256 --tokens 1024 --kv f32 \
    --kl-base "$T/base.kl" >"$T/out" 2>&1 || not_ok "a baseline" "$(cat "$T/out")"
for matrix in layers.0.attention.wv layers.1.feed_forward.w2; do
    measured=$(sed -n "s/^  $matrix .* loss \(.*\) as i4/\1/p" "$T/measured")
    "$BISE" quantize "$T/f32.bise" -o "$T/one.bise" --type f32 --tensor "^$matrix\$=i4" 2>"$T/err"
    "$BISE" quantize "$T/one.bise" -o "$T/rounded.bise" --type f32 2>"$T/err"
    alone=$("$BISE" perplexity -m "$T/rounded.bise" --kl "$T/base.kl" --kv f32 2>"$T/err" |
        sed -n 's/^KL divergence: mean \([^ ]*\) .*/\1/p')
    awk -v a="$measured" -v b="$alone" 'BEGIN { exit !(a > 0 && a / b > 0.98 && a / b < 1.02) }' &&
        ok "$matrix loses $alone" || not_ok "$matrix loses $alone" "measured: $measured"
done

expect_exit "too few bits" 2 "--bits" quantize --bits 4
expect_exit "too many bits" 2 "--bits" quantize --bits 9
expect_exit "bits of i8" 2 "--bits: of no use with --type i8" quantize --bits 5 --type i8
expect_exit "a text alone" 2 "of no use without --bits" quantize --sensitivity README.md
expect_exit "no text" 3 "$T/none" quantize --bits 5 --sensitivity "$T/none"
echo short >"$T/short"
expect_exit "a short text" 2 "expected at least 256 tokens" quantize --bits 5 --sensitivity "$T/short"
expect_exit "no tokenizer" 2 "no tokenizer for a text" quantize --bits 5 --sensitivity README.md --no-tokenizer
expect_exit "rounded already" 2 "expected a source of f32 or bf16" \
    "$BISE" quantize "$T/first.bise" -o "$T/m2.bise" --bits 5 --sensitivity README.md
finish
