#!/usr/bin/env bash
# Times another runtime beside bise on the same shape: alternating, in one run, medians and ratios.
#
# usage: make bench-peers MODEL=7b.bise GGUF=7b-q4_0.gguf PEER=... [options as variables]
#   PEER     a llama-bench program (llama.cpp's or ik_llama.cpp's), or a folder in which
#            `npm install --ignore-scripts node-llama-cpp@3.22.1` was run (a prebuilt llama.cpp)
#   FLAGS    more flags for llama-bench, such as "-rtr 1" for ik_llama.cpp
#   PEER_CPU with the npm package: leave only its libggml-cpu-$PEER_CPU.so in place while it runs
#            (haswell: AVX2, alderlake: AVX-VNNI, icelake or zen4: AVX-512)
#   ISA      bise's instruction set (avx2)      THREADS  (2)
#   PROMPTS  (128,512)      GEN  tokens generated (32)      REPEATS  (5)
#   DEPTH    tokens in the cache before GEN more are generated, besides none (a llama-bench must know
#            -d, or -gp as ik_llama.cpp's does)
# MODEL: bise synth --shape mistral-7b --type i4 -o 7b.bise.  GGUF: the same shape in Q4_0.
set -eu
BISE=${BISE:-build/bise} MODEL=${MODEL:-} GGUF=${GGUF:-} PEER=${PEER:-} FLAGS=${FLAGS:-}
PEER_CPU=${PEER_CPU:-} ISA=${ISA:-avx2} THREADS=${THREADS:-2} PROMPTS=${PROMPTS:-128,512}
GEN=${GEN:-32} REPEATS=${REPEATS:-5} DEPTH=${DEPTH:-}
export LC_ALL=C

for file in "$MODEL" "$GGUF" "$PEER"; do
    if [ -z "$file" ] || [ ! -e "$file" ]; then
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
        echo "bench-peers: \"$file\" is not there" >&2
        exit 2
    fi
done

out=$(mktemp -d) held=
bins=$PEER/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
restore() {
    if [ -n "$held" ]; then mv "$held"/*.so "$bins"/ && rmdir "$held"; fi
    rm -rf "$out"
}
trap restore EXIT
if [ -d "$PEER" ] && [ -n "$PEER_CPU" ]; then
    [ -e "$bins/libggml-cpu-$PEER_CPU.so" ] || {
        echo "bench-peers: no libggml-cpu-$PEER_CPU.so in $bins" >&2
        exit 2
    }
    held=$PEER/held-by-bench-peers
    mkdir "$held"
    for lib in "$bins"/libggml-cpu-*.so; do
        [ "$lib" = "$bins/libggml-cpu-$PEER_CPU.so" ] || mv "$lib" "$held"/
    done
fi

# Both append lines "prefill PROMPT tokens/s" and "decode DEPTH tokens/s" to a file of their own.
bise_rows() { # bise_rows OPTION...: the columns that are wanted of bise bench, found by their names
    "$BISE" bench -m "$MODEL" -n "$GEN" -t "$THREADS" -r 1 --isa "$ISA" --format csv "$@" 2>/dev/null |
        awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
                 { print $at["prompt"], $at["depth"], $at["prefill_tps"], $at["decode_tps"], $at["share"] }'
}
run_bise() {
    bise_rows -p "$PROMPTS" |
        awk '{ print "prefill", $1, $3; print "decode", 0, $4; print "share", 0, $5 }' >>"$out/bise"
    [ -z "$DEPTH" ] || bise_rows -p 0 -d "$DEPTH" | awk '{ print "decode", $2, $4 }' >>"$out/bise"
}
behind=(-n "$GEN" -d "$DEPTH") # what makes a llama-bench generate behind DEPTH tokens
if [ ! -d "$PEER" ] && "$PEER" --help 2>&1 | grep -q -e '-gp '; then behind=(-n 0 -gp "$DEPTH,$GEN"); fi
run_peer() {
    local prompt
    if [ -d "$PEER" ]; then
        for prompt in ${PROMPTS//,/ }; do
            node "$(dirname "$0")/peer_node.mjs" "$PEER" "$GGUF" "$THREADS" "$prompt" "$GEN" |
                awk -v p="$prompt" '{ print "prefill", p, $1; if (p <= 128) print "decode", 0, $2 }' >>"$out/peer"
        done
        [ -z "$DEPTH" ] || node "$(dirname "$0")/peer_node.mjs" "$PEER" "$GGUF" "$THREADS" "$DEPTH" "$GEN" |
            awk -v d="$DEPTH" '{ print "decode", d, $2 }' >>"$out/peer"
    else # llama-bench's csv: names without quotes, then values with them (and commas inside)
        # shellcheck disable=SC2086
        "$PEER" -m "$GGUF" -t "$THREADS" -p "$PROMPTS" -n "$GEN" -r 1 -o csv $FLAGS 2>/dev/null |
            awk 'NR == 1 { n = split($0, name, ","); for (i = 1; i <= n; i++) at[name[i]] = i; next }
                 { gsub(/^"|"$/, ""); split($0, x, "\",\""); p = x[at["n_prompt"]]
                   print (p > 0 ? "prefill" : "decode"), p, x[at["avg_ts"]] }' >>"$out/peer"
        # shellcheck disable=SC2086
        [ -z "$DEPTH" ] || "$PEER" -m "$GGUF" -t "$THREADS" -p 0 "${behind[@]}" -r 1 -o csv $FLAGS 2>/dev/null |
            awk -v d="$DEPTH" 'NR == 1 { n = split($0, name, ","); for (i = 1; i <= n; i++) at[name[i]] = i; next }
                 { gsub(/^"|"$/, ""); split($0, x, "\",\""); print "decode", d, x[at["avg_ts"]] }' >>"$out/peer"
    fi
}

for ((i = 1; i <= REPEATS; i++)); do
    echo "repetition $i of $REPEATS" >&2
    run_bise
    run_peer
done

median() { # median FILE TEST PROMPT
    awk -v t="$2" -v p="$3" '$1 == t && $2 == p { print $3 }' "$out/$1" | sort -n |
        awk '{ x[NR] = $1 } END { print NR ? (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 : 0 }'
}
row() { # row NAME TEST PROMPT
    local ours theirs
    ours=$(median bise "$2" "$3") theirs=$(median peer "$2" "$3")
    awk -v n="$1" -v a="$ours" -v b="$theirs" \
        'BEGIN { printf "| %s | %.2f | %.2f | %.2f |\n", n, a, b, (b > 0 ? a / b : 0) }'
}
echo "bise $ISA, peer $(basename "$PEER") $PEER_CPU $FLAGS; threads $THREADS, medians of $REPEATS, tokens/s"
printf '\n| | bise | peer | ratio |\n|---|---|---|---|\n'
for prompt in ${PROMPTS//,/ }; do
    row "prefill $prompt" prefill "$prompt"
done
row "decode $GEN" decode 0
[ -z "$DEPTH" ] || row "decode $GEN at depth $DEPTH" decode "$DEPTH"
awk -v s="$(median bise share 0)" 'BEGIN { printf "\nbise decode: %.0f %% of the read bandwidth\n", 100 * s }'
