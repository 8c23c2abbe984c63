#!/usr/bin/env bash
# bise quantize --eval and --dry-run.
. tests/cli/common.sh

shape=dim=64,ffn=128,layers=2,heads=2,kv=1,vocab=4096
"$BISE" synth --shape $shape --checkpoint "$T/ck" 2>/dev/null || not_ok "synth"
cp tests/data/demo/tokenizer.model "$T/ck"
quantize() { "$BISE" quantize "$T/ck" -o "$T/m.bise" "$@"; }
head -c 6000 README.md >"$T/book.txt"

expect "--eval" quantize --eval "$T/book.txt"
said=$(grep '^book.txt, ' "$T/.err")
printf '%s\n' "$said" | grep -Eq \
    '^book.txt, [0-9]+ windows? of 512: perplexity [0-9.]+ \+- [0-9.]+ before, [0-9.]+ \+- [0-9.]+ after, KL [0-9.]+e-[0-9]+ \+- [0-9.]+e-[0-9]+, same top token [0-9.]+ %$' &&
    ok "says what it found" || not_ok "says what it found" "$(cat "$T/.err")"
expect "the file is sound" "$BISE" verify "$T/m.bise"
[ "$("$BISE" inspect "$T/m.bise" | sed -n 's/^evaluation *//p')" = "$said" ] && ok "inspect shows it" ||
    not_ok "inspect shows it" "$("$BISE" inspect "$T/m.bise" | grep evaluation)"
"$BISE" inspect --json "$T/m.bise" >"$T/json"
grep -q -F "\"evaluation\":\"$said\"}" "$T/json" && ok "as JSON too" || not_ok "as JSON too"

# Both figures are those of bise perplexity.
"$BISE" quantize "$T/ck" -o "$T/bf16.bise" --type bf16 2>/dev/null
for model in bf16:before m:after; do
    ppl=$("$BISE" perplexity -m "$T/${model%:*}.bise" --text "$T/book.txt" 2>/dev/null |
        sed 's/perplexity \([0-9.]* +- [0-9.]*\), .*/\1/')
    case $said in
    *" $ppl ${model#*:},"*) ok "perplexity ${model#*:}" ;;
    *) not_ok "perplexity ${model#*:}" "$ppl" ;;
    esac
done
"$BISE" quantize "$T/ck" -o "$T/plain.bise" 2>/dev/null
sums() { "$BISE" inspect --json "$1" | grep -o '"crc32c":"[0-9a-f]*"'; }
[ "$(sums "$T/plain.bise")" = "$(sums "$T/m.bise")" ] && ok "the weights are the same" || not_ok "the weights are the same"

rm "$T"/*.bise
echo short >"$T/short"
expect_exit "a text too short" 2 "expected at least 16 tokens" quantize --eval "$T/short"
expect_exit "no text" 3 "$T/none" quantize --eval "$T/none"
expect_exit "no tokenizer" 2 "no tokenizer for a text" quantize --eval "$T/book.txt" --no-tokenizer
left=$(find "$T" -name 'm.bise*')
[ -z "$left" ] && ok "faults are found before the work" || not_ok "faults are found before the work" "$left"

## --dry-run

expect "--dry-run" quantize --dry-run --bits 5
grep -Eq '^source +[0-9.]+ MB, 21 tensors$' "$T/.out" && grep -Eq '^output +[0-9.]+ MB, [0-9.]+ bits' "$T/.out" &&
    grep -Eq '^disk +[0-9.]+ MB needed .*, [0-9.]+ MB free$' "$T/.out" &&
    grep -Eq '^memory +[0-9.]+ MB needed, [0-9.]+ MB available$' "$T/.out" &&
    grep -Eq '^time +about [0-9.]+ s with ' "$T/.out" && ok "says what it takes" ||
    not_ok "says what it takes" "$(cat "$T/.out")"
[ -z "$(find "$T" -name 'm.bise*')" ] && ok "and writes nothing" || not_ok "and writes nothing"
size=$(sed -n 's/^output *\([0-9.]*\) MB.*/\1/p' "$T/.out")
quantize --bits 5 2>/dev/null
awk -v said="$size" -v is="$(stat -c %s "$T/m.bise")" 'BEGIN { d = said * 1e6 - is; exit !(d < 50001 && d > -50001) }' &&
    ok "the size is right" || not_ok "the size is right" "$size"
expect "--dry-run with texts" quantize --dry-run --bits 5 --sensitivity "$T/book.txt" --eval "$T/book.txt"
grep -q '^time .*; running a text comes on top$' "$T/.out" && ok "says that texts take time" ||
    not_ok "says that texts take time" "$(cat "$T/.out")"
expect_exit "--dry-run finds a text that is missing" 3 "$T/none" quantize --dry-run --bits 5 --sensitivity "$T/none"
expect_exit "--dry-run finds a text without use" 2 "without --bits" quantize --dry-run --sensitivity "$T/book.txt"
expect_exit "no such folder" 3 "$T/none" "$BISE" quantize "$T/ck" -o "$T/none/m.bise" --dry-run
mkdir "$T/tmpfs"
if mount -t tmpfs -o size=100k tmpfs "$T/tmpfs" 2>/dev/null; then
    expect_exit "a disk that is too small" 4 "not enough disk" "$BISE" quantize "$T/ck" -o "$T/tmpfs/m.bise" --dry-run
    umount "$T/tmpfs"
else
    skipped "a disk that is too small" "no right to mount one"
fi
finish
