#!/usr/bin/env bash
# Kills bise quantize again and again, at times drawn anew: whatever the next run needs is there, the
# file it makes in the end has the bytes of one made undisturbed, and nothing is left beside it.
# usage: BUILD=build tests/kill/quantize.sh [KILLS] [SEED]      (default: 100, the time)
. tests/cli/common.sh

kills=${1:-100}
seed=${2:-$(date +%s)}
RANDOM=$seed
for i in {1..120}; do
    echo "The old king looked at troll number $i, and the $i children sang of gold and of bread."
done >"$T/text"
head -n 16 "$T/text" >"$T/short"
"$BISE" synth --shape dim=128,ffn=256,layers=3,heads=4,kv=2,vocab=4096 --checkpoint "$T/ck" 2>/dev/null
cp tests/data/demo/tokenizer.model "$T/ck/"

# What quantize is asked for: a file, a text run through the layers, and whatever writes a reference.
modes=(plain calib_text eval calib_self sensitivity)
options() { # options MODE: in the array of this name
    case $1 in
    plain) options=() ;;
    calib_text) options=(--calib-text "$T/text" --calib-tokens 1024) ;;
    eval) options=(--eval "$T/text") ;;
    calib_self) options=(--calib-self 1024) ;;
    sensitivity) options=(--bits 6 --sensitivity "$T/short") ;;
    esac
}

quantize() { # quantize MODE FILE: by exec, so that a kill meets the program itself
    options "$1"
    exec "$BISE" quantize "$T/ck" -o "$2" --chat-format none -t 2 "${options[@]}" >"$T/.log" 2>&1
}

# strangers NAME...: what lies in $T/out besides these.
strangers() {
    local name found
    for found in "$T"/out/* "$T"/out/.[!.]*; do
        [ -e "$found" ] || continue
        for name in "$@"; do [ "$found" != "$T/out/$name" ] || continue 2; done
        echo "$found"
    done
}

# attempt MODE: runs until a file is there, killed up to five times on the way; counts the kills.
attempt() {
    local mode=$1 times=0 pid
    while :; do
        (quantize "$mode" "$T/out/m.bise") &
        pid=$!
        if [ $times -lt 5 ] && [ $n -lt "$kills" ]; then
            sleep "$(printf '%d.%03d' $((RANDOM % milliseconds / 1000)) $((RANDOM % milliseconds % 1000)))"
            if kill -KILL $pid 2>/dev/null; then
                wait $pid 2>/dev/null
                n=$((n + 1)) times=$((times + 1))
                [ -z "$(strangers m.bise m.bise.part m.bise.part.journal)" ] ||
                    bad+="kill $n, $mode: left $(strangers m.bise m.bise.part m.bise.part.journal)"$'\n'
                continue
            fi
        fi
        wait $pid || bad+="after kill $n, $mode: $(tail -n 1 "$T/.log")"$'\n'
        break
    done
    cmp -s "$T/$mode.bise" "$T/out/m.bise" || bad+="after kill $n, $mode: other bytes"$'\n'
    [ -z "$(strangers m.bise)" ] || bad+="after kill $n, $mode: left $(strangers m.bise)"$'\n'
    rm -rf "$T/out"
    mkdir "$T/out"
}

mkdir "$T/out"
declare -A whole
for mode in "${modes[@]}"; do
    begun=$(date +%s%N)
    (quantize "$mode" "$T/$mode.bise") || not_ok "$mode, undisturbed" "$(cat "$T/.log")"
    whole[$mode]=$((($(date +%s%N) - begun) / 1000000 + 10))
    echo "$mode: ${whole[$mode]} ms undisturbed"
done
n=0 bad='' files=0
while [ $n -lt "$kills" ]; do
    mode=${modes[files++ % ${#modes[@]}]}
    milliseconds=${whole[$mode]}
    attempt "$mode"
done
[ -z "$bad" ] && ok "$n kills (seed $seed), $files files byte-identical, nothing left behind" ||
    not_ok "$n kills (seed $seed), $files files" "$bad"
finish
