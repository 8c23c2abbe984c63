#!/usr/bin/env bash
# What rounding loses on the demo checkpoint: KL divergence of weights alone (rounded, run as f32) to
# the f32 model, head and embeddings in i8 everywhere, beside simulated Q4_0 and IQ4_NL on the same
# text. LOSS_RUN=1 adds the same as it runs, with activations and cache in 8 bits. LOSS_CHECKPOINT,
# LOSS_TEXT, LOSS_CALIBRATION and LOSS_TOKENS take others' places; then the figures are only printed.
# Without a text and with one given; TEST_SIZE=full: with statistics and with text of its own, too.
. tests/cli/common.sh
[ "${TEST_SIZE:-}" = full ] || [ -n "${LOSS_RUN:-}${LOSS_CHECKPOINT:-}" ] || {
    skipped losses "a part of make check-all (TEST_SIZE=full)"
    exit
}
checkpoint=${LOSS_CHECKPOINT:-$SHARED/demo}
text=${LOSS_TEXT:-$SHARED/demo/heldout.txt}
calibration=${LOSS_CALIBRATION:-$SHARED/data/text/calibration.txt}
tokens=${LOSS_TOKENS:-8192}
if [ -n "$SANITIZER" ]; then
    skipped losses "too slow under a sanitizer"
    exit 0
fi
for f in "$checkpoint/config.json" "$text" "$calibration"; do
    if [ ! -f "$f" ]; then
        skipped losses "no $f"
        exit 0
    fi
done

# of FILE: mean KL divergence in 1e-3 and its standard error.
of() {
    "$BISE" perplexity -m "$1" --kl "$T/base" 2>/dev/null |
        awk '/^KL divergence: mean/ { printf "%.4f %.4f", 1e3 * $4, 1e3 * $6 }'
}
quantize() { # quantize SOURCE NAME OPTION...
    local from=$1 name=$2
    shift 2
    "$BISE" quantize "$from" -o "$T/$name.bise" --chat-format none "$@" >"$T/.log" 2>&1 ||
        not_ok "$name" "$(tail -n 3 "$T/.log")"
}
declare -A kl
measure() { # measure NAME FILE
    local error
    read -r "kl[$1]" error <<<"$(of "$2")"
    echo "# $1: ${kl[$1]}e-3 +- $error"
}
ours() { # ours NAME OPTION...: weights alone, and as it runs with activations in int8
    local name=$1
    shift
    quantize "$checkpoint" "$name" "$@"
    quantize "$T/$name.bise" "$name.f32" --type f32
    measure "$name" "$T/$name.f32.bise"
    [ -z "${LOSS_RUN:-}" ] || measure "$name as run" "$T/$name.bise"
}
at_most() { # at_most NAME LIMIT [TIMES_OF]
    [ -z "${LOSS_CHECKPOINT:-}" ] || return 0
    if awk -v a="${kl[$1]:-9e9}" -v b="$2" -v c="${kl[${3:-none}]:-1}" \
        'BEGIN { exit !(a <= b * c) }'; then
        ok "$1 at most $2${3:+ of $3}"
    else
        not_ok "$1 at most $2${3:+ of $3}" "${kl[$1]}"
    fi
}

quantize "$checkpoint" base --type f32
"$BISE" perplexity -m "$T/base.bise" --text "$text" --sequences 256 --tokens "$tokens" \
    --kl-base "$T/base" >/dev/null 2>"$T/.log" || not_ok baseline "$(tail -n 3 "$T/.log")"
quantize "$checkpoint" ends --type f32 --head i8 --embed i8
quantize "$T/ends.bise" ends.f32 --type f32
for grid in q4_0 iq4_nl; do
    expect "rounded to $grid" "$BUILD/tests/golden/grids" $grid "$T/ends.f32.bise" "$T/$grid.bise"
    measure $grid "$T/$grid.bise"
done
ours i8 --type i8
ours i4
if [ "${TEST_SIZE:-}" = full ] || [ -n "${LOSS_CHECKPOINT:-}" ]; then
    "$BISE" calibrate -m "$T/i8.bise" -f "$calibration" -o "$T/stats" 2>/dev/null
    ours "i4 statistics" --calib "$T/stats"
    ours "i4 own text" --calib-self 16384
    at_most "i4 statistics" 0.68 q4_0
    at_most "i4 own text" 0.60 q4_0
fi
ours "i4 text" --calib-text "$calibration"
at_most i8 0.08
# The aim is 0.70; 0.72 was reached (docs/decisions.md). This and the others hold what was reached.
at_most i4 0.75 q4_0
at_most "i4 text" 0.50 q4_0
if [ -n "${LOSS_CHECKPOINT:-}" ]; then skipped limits "another checkpoint"; fi
finish
