#!/usr/bin/env bash
# Which instruction set is taken, and what is said of it; other CPUs by emulation.
. tests/cli/common.sh

"$BISE" run -m models/demo.bise -p a -n 1 --isa amx >/dev/null 2>"$T/err"
expect "amx is gone" grep -q "amx is gone since 0.2: avx512 is taken" "$T/err"
expect "that is said once" [ "$(grep -c amx "$T/err")" = 1 ]

case $(uname -m) in
x86_64) ;;
*)
    finish
    exit
    ;;
esac
if ! command -v qemu-x86_64-static >/dev/null; then
    skipped isa_emulated "no qemu-x86_64-static"
    finish
    exit
fi
as() { qemu-x86_64-static -cpu "$1" "$BISE" "${@:2}" -m models/demo.bise 2>&1; }
as Nehalem plan -c 64 >"$T/nehalem"
expect "SSE4.1 has kernels" [ "$(grep -c scalar "$T/nehalem")" = 0 ]
for command in "plan -c 64" "run -p a -n 1" "bench -p 1 -n 1 -r 1 -t 1"; do
    # shellcheck disable=SC2086 # words
    as core2duo $command >"$T/core2"
    expect "${command%% *} says that scalar is all there is" \
        grep -q "only the scalar reference is left" "$T/core2"
done
finish
