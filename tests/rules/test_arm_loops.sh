#!/usr/bin/env bash
# Instructions of the NEON inner loops per 64-byte line of i4 weights (and column), counted from the
# disassembly: a loop over tiles of 16 lines, or one over blocks of 4 lines inside it.
. tests/cli/common.sh

arm_cc=aarch64-linux-gnu-gcc objdump=aarch64-linux-gnu-objdump
case $($CC -dumpmachine) in aarch64*) arm_cc=$CC objdump=objdump ;; esac
if ! command -v "$arm_cc" >/dev/null || ! command -v "$objdump" >/dev/null; then
    skipped arm_loops "no $arm_cc"
    finish
    exit
fi
case $($arm_cc --version | head -n 1) in
*gcc*) ;;
*)
    skipped arm_loops "the figures are gcc's"
    finish
    exit
    ;;
esac

# loops OBJECT FUNCTION COLUMNS BLOCKS: "INNER ALL" instructions per line and column. Of the loops
# that multiply, the shortest is the inner one. With BLOCKS 1 it runs four times in the next larger,
# the tile's; with BLOCKS 4 it is that.
loops() {
    "$objdump" -d --no-show-raw-insn "$1" | awk -v function_name="<$2>:" -v columns="$3" \
        -v blocks="$4" '
        function hex(s,   i, v) {
            for (i = 1; i <= length(s); i++)
                v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
            return v
        }
        /^[0-9a-f]+ <.*>:$/ { inside = $2 == function_name }
        inside && $1 ~ /^[0-9a-f]+:$/ {
            address[++n] = hex(substr($1, 1, length($1) - 1))
            multiplies[n] = multiplies[n - 1] + ($2 ~ /^(sdot|smmla|smull2?|smlal2?)$/)
            if ($2 ~ /^(b\.|b$|cbn?z|tbn?z)/) {
                for (field = 3; field < NF && $(field + 1) !~ /^</; field++) { }
                target = hex($field)
                for (i = n; i > 0 && address[i] > target; i--) { }
                if (i > 0 && address[i] == target && multiplies[n] > multiplies[i - 1])
                    length_of[++n_loops] = n - i + 1
            }
        }
        END {
            inner = tile = 1e9
            for (i = 1; i <= n_loops; i++)
                if (length_of[i] < inner) inner = length_of[i]
            for (i = 1; i <= n_loops; i++)
                if (length_of[i] > inner && length_of[i] < tile) tile = length_of[i]
            if (n_loops < 2) exit 1
            all = blocks == 4 ? inner : 3 * inner + tile
            printf "%.2f %.2f\n", 4 / blocks * inner / 16 / columns, all / 16 / columns
        }'
}

# at_most NAME OBJECT FUNCTION COLUMNS BLOCKS INNER ALL: limits of both counts.
at_most() {
    local inner all
    if ! read -r inner all < <(loops "$2" "$3" "$4" "$5"); then
        not_ok "$1" "no loops found in $3"
    elif awk -v a="$inner" -v b="$6" -v c="$all" -v d="$7" 'BEGIN { exit !(a <= b && c <= d) }'; then
        ok "$1 inner $inner, all $all"
    else
        not_ok "$1" "inner $inner, expected at most $6; all $all, expected at most $7"
    fi
}

objects=()
for isa in neon neon_dotprod neon_i8mm; do objects+=("$T/arm/kernels/$isa/matmul.o"); done
if ! make -s CC="$arm_cc" BUILD="$T/arm" CFLAGS='-O2 -g' "${objects[@]}" >"$T/log" 2>&1; then
    not_ok arm_loops_build "$(tail -n 5 "$T/log")"
    finish
    exit
fi
# Per line, block scales included; the aims are 56 and 38.
at_most decode_neon "${objects[0]}" decode_i4 1 4 48 48
at_most decode_neon_dotprod "${objects[1]}" decode_i4 1 4 34 34
# Per line and column, floats included; the aims are 24, 13.5 and 10. The loop goes through half of a
# tile's rows, four columns at a time.
at_most columns_neon "${objects[0]}" run_i4 2 1 22 24
at_most columns_neon_dotprod "${objects[1]}" run_i4 2 1 12.5 13.5
at_most columns_neon_i8mm "${objects[2]}" run_i4 2 1 8.5 10
finish
