#!/usr/bin/env bash
# bise plan: what fits, what does not, and that the sum is the sum.
. tests/cli/common.sh

"$BISE" plan >"$T/demo" 2>&1
expect plan_of_the_demo grep -q -x 'It fits.' "$T/demo"
expect_exit no_such_model 3 nowhere.bise "$BISE" plan -m "$T/nowhere.bise"
expect_exit bad_cache_type 2 '--kv' "$BISE" plan --kv i7

# Where int8 does not fit, but half of it does, that is said; and only there.
total() { "$BISE" plan -c 1000000 --window 0 --kv "$1" --json | sed 's/.*"total": \([0-9]*\).*/\1/'; }
i8=$(total i8) i4=$(total i4)
expect half_of_int8 test "$((i4 * 100))" -lt "$((i8 * 60))"
limited() { (ulimit -v $(((i8 + i4) / 2048 + 102400)) && "$BISE" "$@" -c 1000000 --window 0); }
limited plan --kv i8 >"$T/i8" 2>"$T/err"
expect int8_does_not_fit grep -q 'It does not fit; -c [0-9]* or --kv i4 would.' "$T/i8"
expect and_so_says_the_error grep -q 'tokens, or a cache of type i4 would fit' "$T/err"
expect half_fits limited plan --kv i4
same json_says_what_would '"i4"' "$(limited plan --kv f16 --json 2>"$T/err" | sed 's/.*"kv_that_fits": \([^,]*\),.*/\1/')"
same json_says_nothing_else null "$(limited plan --kv i4 --json | sed 's/.*"kv_that_fits": \([^,]*\),.*/\1/')"

# Full attention over 16 million positions in f32 takes 100 GiB.
if [ "$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 90 ]; then
    skipped too_large "this machine has memory for it"
    "$BISE" plan --json -b 3 >"$T/plan"
same sequences "3 $((3 * $("$BISE" plan --json | sed 's/.*"cache": \([0-9]*\).*/\1/')))" "$(sed 's/.*"cache": \([0-9]*\).*"sequences": \([0-9]*\).*/\2 \1/' "$T/plan")"
finish
    exit
fi
huge=(-c 16777216 --window 0 --kv f32)
expect_exit too_large 4 'MiB are free' "$BISE" plan "${huge[@]}"
expect_exit too_large_to_run 4 'a context of' "$BISE" run -p x -n 1 "${huge[@]}"
expect_exit too_large_to_copy 4 'MiB are free' "$BISE" run -p x -n 1 --mem huge "${huge[@]}"
"$BISE" plan "${huge[@]}" >"$T/huge" 2>/dev/null
expect too_large_offers_less grep -q 'It does not fit; -c [0-9]*\( or --kv [if0-9]*\)\? would.' "$T/huge"

"$BISE" plan "${huge[@]}" --json >"$T/json" 2>/dev/null
number() { sed -E "s/.*\"$1\": ([0-9]+).*/\\1/" "$T/json"; }
expect json_says_no grep -q '"fits": false' "$T/json"
largest=$(number largest_context)
expect largest_fits "$BISE" plan -c $((largest / 2)) --window 0 --kv f32
sum=$(($(number weights) + $(number cache) + $(number scratch)))
if [ "$sum" = "$(number total)" ]; then ok total_is_the_sum; else not_ok total_is_the_sum; fi
finish
