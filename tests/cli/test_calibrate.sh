#!/usr/bin/env bash
# bise calibrate, and what bise quantize makes of its statistics.
. tests/cli/common.sh
demo=models/demo.bise
for i in {1..60}; do
    echo "The old king looked at troll number $i, and the $i children sang of gold and of bread."
done >"$T/text"
shape=dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=4096
mix() { "$BISE" synth --shape "$shape,experts=8,top=2" --checkpoint "$T/mixture"; }
expect checkpoint "$BISE" synth --shape "$shape" --checkpoint "$T/dense"
expect "mixture's checkpoint" mix
cp tests/data/demo/tokenizer.model "$T/dense/"
cp tests/data/demo/tokenizer.model "$T/mixture/"
for m in dense mixture; do
    expect "$m in i8" "$BISE" quantize "$T/$m" -o "$T/$m.bise" --type i8 --chat-format none
done

expect statistics "$BISE" calibrate -m "$T/dense.bise" -f "$T/text" -o "$T/stats" -c 64
for threads in 1 3; do
    "$BISE" calibrate "$T/dense.bise" -f "$T/text" -o "$T/stats$threads" -c 64 -t $threads 2>"$T/err"
    same_files "statistics, $threads threads" "$T/stats" "$T/stats$threads"
done
expect "statistics of its own text" "$BISE" calibrate -m "$T/dense.bise" --self 1024 -o "$T/self"
differ "the model's own text is another" "$T/stats" "$T/self"

# Ctrl-C, once the program listens to it.
"$BISE" calibrate "$T/dense.bise" --self 1000000 -o "$T/never" 2>"$T/err" &
pid=$!
wait_for grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status
kill -INT $pid
wait $pid
same "Ctrl-C" "130 bise calibrate: interrupted" "$? $(tail -n 1 "$T/err")"
expect "leaves no file" test ! -e "$T/never"

expect "without statistics" "$BISE" quantize "$T/dense" -o "$T/plain.bise" --chat-format none
expect "with statistics" "$BISE" quantize "$T/dense" -o "$T/calib.bise" --chat-format none \
    --calib "$T/stats"
expect "with statistics, verified" "$BISE" verify "$T/calib.bise"
differ "statistics change the file" "$T/plain.bise" "$T/calib.bise"
if "$BISE" inspect "$T/calib.bise" | grep -q "weighted by statistics"; then
    ok "the recipe tells of them"
else
    not_ok "the recipe tells of them"
fi

# A mixture: experts seen too rarely are named.
head -n 4 "$T/text" >"$T/short"
"$BISE" calibrate -m "$T/mixture.bise" -f "$T/short" -o "$T/rare" -c 64 2>"$T/err"
if grep -q "experts.*was chosen for [0-9]* tokens only" "$T/err"; then
    ok "rare experts are named"
else
    not_ok "rare experts are named" "$(cat "$T/err")"
fi
expect "rare experts are rounded" "$BISE" quantize "$T/mixture" -o "$T/rare.bise" \
    --chat-format none --calib "$T/rare"

# Error feedback: a text, or the model's own, runs through the layers.
feedback() { # feedback NAME CHECKPOINT OPTION...
    local name=$1 checkpoint=$2
    shift 2
    "$BISE" quantize "$T/$checkpoint" -o "$T/$name.bise" --chat-format none "$@" 2>"$T/err" &&
        "$BISE" verify "$T/$name.bise" >"$T/.log" 2>&1
}
for m in dense mixture; do
    expect "$m with error feedback" feedback "$m-text" $m --calib-text "$T/text" -t 2
    expect "$m with error feedback, 1 thread" feedback "$m-1" $m --calib-text "$T/text" -t 1
    same_files "$m: the same bytes with 1 thread" "$T/$m-text.bise" "$T/$m-1.bise"
done
differ "error feedback changes the file" "$T/plain.bise" "$T/dense-text.bise"
expect "error feedback by its own text" feedback dense-self dense --calib-self 1024
differ "its own text is another" "$T/dense-self.bise" "$T/dense-text.bise"
expect "i8 beside error feedback" feedback mixed dense --calib-text "$T/text" \
    --tensor '.*wo=i8' --tensor '.*w2=i8'
if "$BISE" inspect "$T/dense-text.bise" | grep -q "error feedback by [0-9]* tokens of a text"; then
    ok "the recipe tells of error feedback"
else
    not_ok "the recipe tells of error feedback" "$("$BISE" inspect "$T/dense-text.bise" | head -20)"
fi
# The layers that a text runs through are those of the whole model: the same statistics to the bit.
as_the_whole() { # as_the_whole CHECKPOINT
    local base=$T/$1-base.bise
    "$BISE" quantize "$T/$1" -o "$base" --type i8 --embed f32 --attention i8 --chat-format none &&
        "$BISE" calibrate -m "$base" -f "$T/text" -o "$T/$1-stats" -c 512 --kv f32 &&
        "$BISE" quantize "$T/$1" -o "$T/$1-a.bise" --type i8 --chat-format none --calib "$T/$1-stats" &&
        "$BISE" quantize "$T/$1" -o "$T/$1-b.bise" --type i8 --chat-format none --calib-text "$T/text" &&
        "$BISE" diff "$T/$1-a.bise" "$T/$1-b.bise" >"$T/diff" && grep -q "^\([0-9]*\) tensors compared, \1 of" "$T/diff"
}
for m in dense mixture; do
    expect "$m: a layer at a time sees what the whole model sees" as_the_whole $m
    if "$BISE" diff "$T/$m-a.bise" "$T/$m.bise" | grep -q "^\([0-9]*\) tensors compared, \1 of"; then
        not_ok "$m: and that matters"
    else
        ok "$m: and that matters"
    fi
done
expect "i8 with a text" feedback i8-text dense --type i8 --calib-text "$T/text"
expect "its recipe tells of no feedback" grep -q "columns weighted by [0-9]* tokens of a text" \
    <("$BISE" inspect "$T/i8-text.bise")
expect_exit "a text that changes nothing" 2 "calib-text: of no use with --type bf16" "$BISE" \
    quantize "$T/dense" -o "$T/x.bise" --type bf16 --calib-text "$T/text"
expect_exit "a text and its own" 2 "expected one of them" "$BISE" quantize "$T/dense" \
    -o "$T/x.bise" --calib-text "$T/text" --calib-self 1024
expect_exit "a text without tokenizer" 2 "no tokenizer for a text" "$BISE" quantize \
    "$T/dense" -o "$T/x.bise" --no-tokenizer --calib-text "$T/text"
expect_exit "a text too short for feedback" 2 "511 tokens, found" "$BISE" quantize "$T/dense" \
    -o "$T/x.bise" --calib-text README.md --calib-text "$T/short"

expect_exit "statistics of another model" 3 "another model" "$BISE" quantize "$T/dense" \
    -o "$T/x.bise" --chat-format none --calib "$T/rare"
head -c 300 "$T/stats" >"$T/cut"
expect_exit "statistics cut short" 3 "bytes, found 300" "$BISE" quantize \
    "$T/dense" -o "$T/x.bise" --chat-format none --calib "$T/cut"
expect_exit "no text" 2 "either -f TEXT or --self N" "$BISE" calibrate -m "$demo" -o "$T/x"
expect_exit "no output" 2 "expected -o STATS" "$BISE" calibrate -m "$demo" -f "$T/text"
expect_exit "text too short" 3 "512 tokens, found" "$BISE" calibrate -m "$T/dense.bise" \
    -f <(echo "too short") -o "$T/x"
expect_exit "an i4 model" 3 "expected a model in f32, bf16 or i8" "$BISE" calibrate \
    -m "$T/plain.bise" -f "$T/text" -o "$T/x"
if [ ! -e "$T/x" ] && [ ! -e "$T/x.bise" ]; then ok "nothing left"; else not_ok "nothing left"; fi
finish
