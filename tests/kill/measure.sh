#!/usr/bin/env bash
# Kills bise calibrate and bise perplexity (--kl-base, --logits) at times drawn anew: no file has its
# name before it is whole, and the next run makes it, removing what the killed one has left.
# usage: BUILD=build tests/kill/measure.sh [KILLS] [SEED]      (default: 100, the time)
. tests/cli/common.sh

kills=${1:-100}
seed=${2:-$(date +%s)}
RANDOM=$seed
for i in {1..60}; do
    echo "The old king looked at troll number $i, and the $i children sang of gold and of bread."
done >"$T/text"
"$BISE" synth --shape dim=128,ffn=256,layers=3,heads=4,kv=2,vocab=4096 --checkpoint "$T/ck" 2>/dev/null
cp tests/data/demo/tokenizer.model "$T/ck/"
"$BISE" quantize "$T/ck" -o "$T/m.bise" --type i8 --chat-format none 2>/dev/null || not_ok "a model"

modes=(calibrate kl_base logits)
measure() { # measure MODE FILE: by exec, so that a kill meets the program itself
    case $1 in
    calibrate) exec "$BISE" calibrate -m "$T/m.bise" -f "$T/text" -o "$2" -c 64 -t 2 ;;
    kl_base) exec "$BISE" perplexity -m "$T/m.bise" --text "$T/text" --kl-base "$2" -c 128 -t 2 ;;
    logits) exec "$BISE" perplexity -m "$T/m.bise" --text "$T/text" --logits "$2" -c 256 -t 2 ;;
    esac
}

mkdir "$T/out"
declare -A whole
for mode in "${modes[@]}"; do
    begun=$(date +%s%N)
    (measure "$mode" "$T/$mode") >"$T/.log" 2>&1 || not_ok "$mode, undisturbed" "$(cat "$T/.log")"
    whole[$mode]=$((($(date +%s%N) - begun) / 1000000 + 10))
done
n=0 n_left=0 bad='' files=0
while [ $n -lt "$kills" ]; do
    mode=${modes[files++ % ${#modes[@]}]}
    for _ in 1 2 3; do
        (measure "$mode" "$T/out/x") >/dev/null 2>&1 &
        pid=$!
        sleep "$(printf '%d.%03d' $((RANDOM % whole[$mode] / 1000)) $((RANDOM % whole[$mode] % 1000)))"
        kill -KILL $pid 2>/dev/null && n=$((n + 1))
        wait $pid 2>/dev/null
        [ ! -e "$T/out/x" ] || cmp -s "$T/$mode" "$T/out/x" || bad+="kill $n, $mode: a file not whole"$'\n'
    done
    n_left=$((n_left + $(find "$T/out" -name 'x.bise-tmp-*' | wc -l)))
    touch "$T/out/x.bise-tmp-1" # one of a run that met its end before this one
    (measure "$mode" "$T/out/x") >"$T/.log" 2>&1 || bad+="after kill $n, $mode: $(tail -n 1 "$T/.log")"$'\n'
    cmp -s "$T/$mode" "$T/out/x" || bad+="after kill $n, $mode: other bytes"$'\n'
    [ "$(ls "$T/out")" = x ] || bad+="after kill $n, $mode: left $(echo "$T"/out/*)"$'\n'
    rm -rf "$T/out"
    mkdir "$T/out"
done
[ -z "$bad" ] && ok "$n kills (seed $seed), $files files byte-identical, nothing left behind" ||
    not_ok "$n kills (seed $seed), $files files" "$bad"
echo "# $n_left unfinished files were there to be removed"
finish
