#!/usr/bin/env bash
# Counts the instructions that bise and llama.cpp's own arm64 build execute for one token of the same
# small model, on emulated ARM CPUs, where time means nothing: decode, and a prompt of 64.
#
# usage: PEER=FOLDER bench/peer_arm.sh [CPU:BACKEND:ISA...]
#   FOLDER holds what two npm packages and a git bundle in one of them unpack to:
#     npm pack @node-llama-cpp/linux-arm64@3.22.1 node-llama-cpp@3.22.1
#     for f in *.tgz; do tar xzf "$f"; done && git clone package/llama/gitRelease.bundle llama.cpp
#   default: cortex-a57:armv8.0_1:neon cortex-a76:armv8.2_2:neon_dotprod max:armv8.6_1:neon_i8mm
#   CC (aarch64-linux-gnu-gcc), BISE (build-aarch64/bise), QEMU (qemu-aarch64-static -L ...) as variables
# One thread, 4-bit weights (Q4_0, repacked by llama.cpp at load; i4), 8-bit head, greedy. Loading and
# start are in no figure: they are differences of runs that read and generate more or fewer tokens.
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-aarch64-linux-gnu-gcc} BISE=${BISE:-build-aarch64/bise} PEER=${PEER:-}
QEMU=${QEMU:-qemu-aarch64-static -L /usr/aarch64-linux-gnu}
bins=$PEER/package/bins/linux-arm64 headers=$PEER/llama.cpp
for file in "$bins" "$headers/include/llama.h" "$BISE"; do
    [ -e "$file" ] || {
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
        echo "peer_arm: $file is not there" >&2
        exit 2
    }
done
[ $# -gt 0 ] || set -- cortex-a57:armv8.0_1:neon cortex-a76:armv8.2_2:neon_dotprod max:armv8.6_1:neon_i8mm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries=("$bins"/libllama.v*.so "$bins"/libggml.v*.so "$bins"/libggml-base.so)
"$CC" -std=c11 -O2 -Wall -Wextra -I"$headers/include" -I"$headers/ggml/include" -o "$work/peer_arm" \
    bench/peer_arm.c "${libraries[@]}" -Wl,-rpath,"$(cd "$bins" && pwd)",--allow-shlib-undefined
# shellcheck disable=SC2086 # QEMU is a command with its options
$QEMU "$work/peer_arm" make "$work/peer.gguf"
# shellcheck disable=SC2086
$QEMU "$BISE" synth --shape dim=512,ffn=1536,layers=2,heads=4,kv=2,vocab=512 --type i4 \
    -o "$work/model.bise" -t 1 2>"$work/log" || {
    cat "$work/log" >&2
    exit 1
}

# count CPU COMMAND...: instructions executed. qemu logs every block when it translates it, with its
# instructions, and its address whenever it enters it.
count() {
    local cpu=$1
    shift
    # shellcheck disable=SC2086
    $QEMU -cpu "$cpu" -d exec,nochain,in_asm -D /dev/fd/3 "$@" 3>&1 >/dev/null 2>"$work/log" | awk '
        /^IN:/ { fresh = 1; next }
        /^0x/ {
            if (fresh) { at = substr($1, 3, length($1) - 3); sub(/^0+/, "", at); n = 0; fresh = 0 }
            length_of[at] = ++n
        }
        /^Trace/ { split($0, part, "/"); sub(/^0+/, "", part[2]); total += length_of[part[2]] }
        END { printf "%.0f\n", total }'
}

# Both sides read P tokens and generate N.
run_peer() { # run_peer CPU BACKEND P N
    count "$1" "$work/peer_arm" run "$work/peer.gguf" "$bins/libggml-cpu-$2.so" "$3" "$4"
}
run_bise() { # run_bise CPU ISA P N
    count "$1" "$BISE" run -m "$work/model.bise" --isa "$2" --ids "$(seq -s ' ' 3 $(($3 + 2)))" \
        -n "$4" --temp 0 --ignore-eos -c 256 -t 1 -q
}

per_token() { # per_token run_peer|run_bise CPU NAME
    local short long prompt
    short=$("$1" "$2" "$3" 1 2) long=$("$1" "$2" "$3" 1 6) prompt=$("$1" "$2" "$3" 64 2)
    awk -v s="$short" -v l="$long" -v p="$prompt" 'BEGIN {
        decode = (l - s) / 4 # the token that the short run reads costs as much
        printf "%.3f %.3f\n", decode / 1e6, (p - s + decode) / 64 / 1e6
    }'
}

echo "million instructions per token | decode: bise, llama.cpp, ratio | prompt of 64: the same"
for target in "$@"; do
    IFS=: read -r cpu backend isa <<<"$target"
    bise=$(per_token run_bise "$cpu" "$isa")
    peer=$(per_token run_peer "$cpu" "$backend")
    awk -v name="$cpu, $isa, $backend" -v b="$bise" -v p="$peer" 'BEGIN {
        split(b, bise); split(p, peer)
        printf "%s | %.2f %.2f %.2f | %.2f %.2f %.2f\n", name, bise[1], peer[1], bise[1] / peer[1],
            bise[2], peer[2], bise[2] / peer[2]
    }'
done
