#!/usr/bin/env bash
# What a machine of a kind not seen before has to run, into one file: what it is, whether its kernels
# are right (checkkernels, fingerprints), what it can (memory, multiplications), what bise makes of it.
#
# usage: make measure-here [MODEL=FILE] [OUT=FILE]      from a quarter of an hour on; nothing else should run
#   MODEL  measured beside the demo model (default: four layers of 7B's shape, made in $BUILD, 0.7 GB)
#   OUT    where it goes ($BUILD/measure-here.md)
# Fails where a kernel or a fingerprint is wrong; the file says which.
set -u
BUILD=${BUILD:-build}
OUT=${OUT:-$BUILD/measure-here.md}
MODEL=${MODEL:-}
export LC_ALL=C
failed=0

part() { # part TITLE COMMAND...: a heading, the command, what it said; a word on the terminal
    local title=$1 rc
    shift
    echo "measure-here: $title" >&2
    printf '\n## %s\n\n`%s`\n\n' "$title" "$*" >>"$OUT"
    if "$@" >"$BUILD/measure-here.part" 2>&1; then rc=0; else rc=$?; fi
    if grep -q '^|' "$BUILD/measure-here.part"; then # tables are shown as such
        cat "$BUILD/measure-here.part" >>"$OUT"
    else
        sed 's/^/    /' "$BUILD/measure-here.part" >>"$OUT"
    fi
    rm -f "$BUILD/measure-here.part"
    if [ $rc -ne 0 ]; then
        printf '\n**failed: exit code %d**\n' $rc >>"$OUT"
        echo "measure-here: failed: $title" >&2
    fi
    return $rc
}

if [ -z "$MODEL" ]; then
    MODEL=$BUILD/measure-here.bise
    [ -e "$MODEL" ] || "$BUILD/bise" synth --shape mistral-7b,layers=4 --type i4 -o "$MODEL" || exit 1
fi
printf '# bise on this machine, %s\n' "$(date -u +%Y-%m-%d)" >"$OUT" || exit 1
part "The program" "$BUILD/bise" --version -v
part "The machine" sh -c 'uname -srm; (lscpu || cat /proc/cpuinfo) 2>/dev/null; head -3 /proc/meminfo'
part "Kernels against the reference" "$BUILD/checkkernels" || failed=1
part "Fingerprints" "$BUILD/tests/golden/fingerprint" || failed=1
part "Multiplications a second" "$BUILD/peak"
part "Reading memory" "$BUILD/membw"
part "The model: $(basename "$MODEL")" "$BUILD/bise" bench -m "$MODEL" -p 16,32,64,128,512 -n 32 --isa all
part "Conversations side by side" "$BUILD/bise" bench -m "$MODEL" -b 1,2,4,8,16 -n 32
part "The demo model" "$BUILD/bise" bench -m models/demo.bise -p 128,512 -n 64 --isa all
part "Barriers" "$BUILD/regions" models/demo.bise
part "Every kernel" "$BUILD/checkkernels" --bench
echo "measure-here: $OUT" >&2
exit $failed
