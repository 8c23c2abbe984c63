#!/usr/bin/env bash
# bise quantize killed at any place goes on where it was, and makes the same file.
. tests/cli/common.sh

# So many tensors that their lines fill a pipe: who reads few lines finds the program waiting.
shape=dim=64,ffn=64,layers=120,heads=2,kv=1,vocab=64
total=$((3 + 9 * 120))
"$BISE" synth --shape $shape --checkpoint "$T/ck" 2>/dev/null || not_ok "synth"
checkpoint=$T/ck
# shellcheck disable=SC2120 # most calls take the arguments as they are
quantize() { "$BISE" quantize "$checkpoint" -o "$T/m.bise" --no-tokenizer "$@"; }
"$BISE" quantize "$T/ck" -o "$T/whole.bise" --no-tokenizer 2>/dev/null || not_ok "quantize"
mkfifo "$T/pipe"

# stopped SIGNAL N [OPTION...]: starts, reads N lines, and sends the signal.
stopped() {
    local signal=$1 n=$2 pid i
    shift 2
    "$BISE" quantize "$checkpoint" -o "$T/m.bise" --no-tokenizer "$@" 2>"$T/pipe" &
    pid=$!
    exec 5<"$T/pipe"
    for ((i = 0; i < n; i++)); do read -r _ <&5; done
    kill "-$signal" $pid
    [ "$signal" = KILL ] || cat <&5 >"$T/rest"
    exec 5<&-
    wait $pid 2>/dev/null
}
kept() { sed -n 's/^.*part: \([0-9]*\) of [0-9]* tensors are there .*/\1/p' "$T/.err"; }
lines() { grep -c ' MB -> .* error ' "$T/.err"; }

# goes_on NAME: finishes, with what was kept not done again, and the same bytes.
goes_on() {
    expect "$1: goes on" quantize
    n=$(kept)
    if [ $((${n:-0} + $(lines))) -eq $total ]; then
        ok "$1: ${n:-0} of $total were kept, the others done"
    else
        not_ok "$1" "kept ${n:-0}, done $(lines) of $total"
    fi
    same_files "$1: the same file" "$T/whole.bise" "$T/m.bise"
    [ ! -e "$T/m.bise.part" ] && [ ! -e "$T/m.bise.part.journal" ] && ok "$1: nothing is left behind" ||
        not_ok "$1: nothing is left behind"
    rm -f "$T/m.bise"
}

[ "${TEST_SIZE:-}" = full ] && places="3 40 150 300" || places="3 300"
for n in $places; do
    stopped KILL "$n" -t 2
    [ ! -e "$T/m.bise" ] && ok "killed after $n lines: no file yet" || not_ok "killed after $n lines: no file yet"
    goes_on "killed after $n lines"
done

stopped KILL 10
stopped KILL 10
goes_on "killed twice"

stopped TERM 100
grep -q 'm.bise.part: [0-9]* of [0-9]* tensors are finished; the same command goes on from there' "$T/rest" &&
    ok "an interrupted run says how it goes on" || not_ok "an interrupted run says how it goes on" "$(tail -n 2 "$T/rest")"
goes_on "interrupted"

stopped KILL 100
printf 'damage' | dd of="$T/m.bise.part" bs=1 seek=300000 conv=notrunc 2>/dev/null
goes_on "a damaged tensor is made again"
[ "${n:-0}" -ge 50 ] && ok "and hardly more" || not_ok "and hardly more" "${n:-0} kept"

stopped KILL 100
head -c -11 "$T/m.bise.part.journal" >"$T/cut" && cp "$T/cut" "$T/m.bise.part.journal"
goes_on "a journal cut in an entry"

stopped KILL 100
rm "$T/m.bise.part"
goes_on "without its part"

stopped KILL 100 --type i8
expect "other options begin anew" quantize
[ -z "$(kept)" ] && cmp -s "$T/whole.bise" "$T/m.bise" && ok "and keep nothing" || not_ok "and keep nothing"
rm "$T/m.bise"

# Of a smaller one: calibrating takes long.
"$BISE" synth --shape ${shape/120/20} --checkpoint "$T/small" 2>/dev/null || not_ok "synth"
checkpoint=$T/small
expect "a model to calibrate" "$BISE" quantize "$T/small" -o "$T/i8.bise" --no-tokenizer --type i8
for n in 1024 1088; do
    expect "$n tokens" "$BISE" calibrate -m "$T/i8.bise" --self $n -c 64 -o "$T/stats$n"
done
stopped KILL 100 --calib "$T/stats1024"
expect "other statistics begin anew" quantize --calib "$T/stats1088"
[ -z "$(kept)" ] && ok "though all else is the same" || not_ok "though all else is the same"
checkpoint=$T/ck
rm "$T/m.bise"

stopped KILL 100
for f in "$T"/ck/*.safetensors; do cp "$f" "$T/copy" && mv "$T/copy" "$f"; done
expect "another source begins anew" quantize
[ -z "$(kept)" ] && ok "though of the same size" || not_ok "though of the same size"

"$BISE" quantize "$T/ck" -o "$T/m.bise" --no-tokenizer 2>"$T/pipe" &
pid=$!
exec 5<"$T/pipe"
read -r _ <&5
expect_exit "two at once" 3 "another process is writing this file" quantize
kill -KILL $pid
exec 5<&-
wait $pid 2>/dev/null

# Three that overlap: the second has opened the journal and not yet locked it when the first, which made
# the file meanwhile, removes it; the third has a journal of its own. The lock is on the file that has
# the name, so the second stands back.
rm -f "$T"/m.bise*
if [ -z "$SANITIZER" ] && $CC -shared -fPIC -o "$T/flock_wait.so" tests/cli/flock_wait.c -ldl 2>/dev/null; then
    FLOCK_AT=$T/at FLOCK_GO=$T/go LD_PRELOAD=$T/flock_wait.so "$BISE" quantize "$T/ck" -o "$T/m.bise" \
        --no-tokenizer 2>"$T/second" &
    second=$!
    if wait_for test -e "$T/at"; then ok "overlapping: one waits"; else not_ok "overlapping: one waits"; fi
    expect "overlapping: the first ends" quantize
    "$BISE" quantize "$T/ck" -o "$T/m.bise" --no-tokenizer 2>"$T/pipe" &
    third=$!
    exec 5<"$T/pipe"
    read -r _ <&5
    : >"$T/go"
    wait $second
    same "overlapping: the second is refused" 3 $?
    expect "overlapping: by name" grep -q "another process is writing this file" "$T/second"
    cat <&5 >/dev/null
    exec 5<&-
    wait $third
    same "overlapping: the third ends" 0 $?
    same_files "overlapping: the file is whole" "$T/whole.bise" "$T/m.bise"
    rm "$T/m.bise"
else
    skipped overlapping "no library can be preloaded"
fi

# A journal that only claims to be long: a hole of 3 GB behind what is there, or all of it.
if [ -z "$SANITIZER" ]; then
    for keep in 1 0; do
        stopped KILL 100
        [ $keep -eq 1 ] || truncate -s 0 "$T/m.bise.part.journal"
        truncate -s 3G "$T/m.bise.part.journal"
        (
            ulimit -v 1000000
            quantize 2>"$T/.err"
        )
        same "a journal with a hole of 3 GB" "0 $keep" "$? $(($(kept) + 0 > 0))"
        same_files "a journal with a hole: the same file" "$T/whole.bise" "$T/m.bise"
        rm -f "$T"/m.bise*
    done
fi

## What is not ours is left alone, and what is being written is nobody else's to read

rm -f "$T"/m.bise*
for name in part part.journal; do
    echo precious >"$T/victim"
    ln -s victim "$T/m.bise.$name"
    expect_exit "a link at .$name" 3 "m.bise.$name" quantize
    same "is not followed at .$name" precious "$(cat "$T/victim")"
    [ -L "$T/m.bise.$name" ] && ok "nor removed at .$name" || not_ok "nor removed at .$name"
    rm -f "$T"/m.bise*
done
(umask 0; stopped KILL 100)
same "what is unfinished is its owner's alone" "600 600" \
    "$(stat -c %a "$T/m.bise.part" "$T/m.bise.part.journal" | xargs)"
# shellcheck disable=SC2119
(umask 022; quantize 2>/dev/null)
same "what is finished is as readable as any new file" 644 "$(stat -c %a "$T/m.bise")"
finish
