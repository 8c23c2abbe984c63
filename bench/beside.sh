#!/usr/bin/env bash
# Two programs of bise beside each other on one file: prompts and writing, in turns, weights mapped
# (--mem auto may map in one round and copy to huge pages in the next, which is a factor of 1.5).
# usage: bench/beside.sh OLD NEW MODEL [ROUNDS] [ISA...]     prints medians, best runs and their ratios
set -eu
old=$1 new=$2 model=$3 rounds=${4:-3}
shift $(($# < 4 ? $# : 4))
[ $# -gt 0 ] || set -- avx512 avx2
run() { # run NAME PROGRAM ISA
    local -a format=(--format csv)
    "$2" bench --help | grep -q -- --format || format=(-o csv) # 0.1
    "$2" bench -m "$model" --isa "$3" -p 16,32,64,128,512 -n 16 -r 2 -t 2 --mem mmap "${format[@]}" 2>/dev/null |
        awk -F, -v who="$1" -v isa="$3" 'NR == 1 { for (i = 1; i <= NF; i++) h[$i] = i; next }
            { print isa, $h["prompt"], who, $h["prefill_tps"], $h["decode_tps"], $h["prefill_share"] }'
}
for isa in "$@"; do
    for ((r = 0; r < rounds; r++)); do
        run old "$old" "$isa"
        run new "$new" "$isa"
    done
done | python3 -c '
import collections, statistics, sys
runs = collections.defaultdict(list)
for line in sys.stdin:
    isa, prompt, who, *speeds = line.split()
    runs[isa, int(prompt), who].append([float(x) for x in speeds])
def pair(key, i):
    old, new = ([x[i] for x in runs[(*key, who)]] for who in ("old", "new"))
    a, b = statistics.median(old), statistics.median(new)
    return "%.1f, %.1f: %.3f (best %.3f)" % (a, b, b / a, max(new) / max(old))
for isa, prompt, who in runs:
    if who == "new":
        key = isa, prompt
        share = statistics.median(x[2] for x in runs[(*key, who)])
        print(isa, prompt, "prefill", pair(key, 0), "decode", pair(key, 1), "share of the limit %.3f" % share)
'
