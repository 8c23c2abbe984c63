#!/usr/bin/env bash
# Rules of what the compiler made: what the library calls, and that nothing outside the kernel
# folders uses an instruction above the baseline CPU's.
. tests/cli/common.sh

if [ -n "$SANITIZER" ] || [ ! -f "$BUILD/libbise.a" ]; then
    skipped objects "built with a sanitizer"
    finish
    exit
fi

# No printing, exiting, aborting or reading the environment below the tools. (assert is allowed: it
# states what the code itself guarantees.)
undefined=$(nm -u "$BUILD/libbise.a" "$BUILD/libquant.a" | awk '$1 == "U" { print $2 }' | sed 's/@.*//' | sort -u)
forbidden='^(printf|vprintf|fprintf|vfprintf|dprintf|puts|fputs|putchar|putc|fputc|perror|stdout'
forbidden+='|stderr|stdin|__printf_chk|__fprintf_chk|__vfprintf_chk|exit|_exit|_Exit|quick_exit|abort'
forbidden+='|getenv|secure_getenv|system|signal|sigaction)$'
bad=$(grep -E "$forbidden" <<<"$undefined" | xargs)
if [ -z "$bad" ]; then ok library_is_silent; else not_ok library_is_silent "calls $bad"; fi

if grep -q -x malloc <<<"$undefined"; then ok names_found; else not_ok names_found "$undefined"; fi

# What may fail is failed on purpose: tests/fault wraps every call that the libraries make of what is not
# their own, but for those that cannot fail, or whose failing is nothing.
cannot_fail='^(_GLOBAL_OFFSET_TABLE_|__.*|bcmp|mem(chr|cmp|cpy|move|set)|stpcpy|str(chr|cmp|cpy|c?spn|error|len|ncmp|nlen|rchr|sep|str|tod|tok_r|tou?ll?)|v?sn?printf|qsort|free|fmod'
cannot_fail+='|ldexp|frexpf?|sqrtf?|localeconv|reg(error|exec|free)|sig(del|fill|empty|add)set|pthread_join'
cannot_fail+='|pthread_(sigmask|attr_destroy|mutex_(destroy|lock|unlock))|getpid|umask|closedir|sysconf)$'
wrapped=$(sed -n '/^FAULT_CALLS :=/,/[^\\]$/p' mk/test.mk | sed 's/^.*:=//; s/\\//' | xargs -n 1 | sort -u)
own=$(nm -g --defined-only "$BUILD/libbise.a" "$BUILD/libquant.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
bad=$(comm -23 <(echo "$undefined") <(echo "$own") | grep -v -E "$cannot_fail" | comm -23 - <(echo "$wrapped") | xargs)
if [ -z "$bad" ] && grep -q -x mincore <<<"$undefined"; then ok failing_calls_are_failed; else not_ok failing_calls_are_failed "$bad"; fi

# Of libm, only what IEEE 754 defines exactly.
inexact='^(exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|sin|cos|tan|sincos|asin|acos|atan|atan2|sinh'
inexact+='|cosh|tanh|cbrt|hypot|erf|tgamma|lgamma)f?$'
bad=$(grep -E "$inexact" <<<"$undefined" | xargs)
if [ -z "$bad" ]; then ok no_inexact_libm; else not_ok no_inexact_libm "calls $bad"; fi

machine=$($CC -dumpmachine)
case $machine in
x86_64*)
    # Above x86-64: anything on ymm or zmm registers or with a VEX or EVEX mnemonic, SSE3 and later,
    # bit manipulation. (lzcnt and tzcnt share their bytes with bsr and bsf where no CPU is named:
    # compilers write "rep bsf", which disassembles as tzcnt and means the same for inputs not 0.)
    above='^(v[a-z0-9]+|addsubp[sd]|h(add|sub)p[sd]|mov(d|sl|sh)dup|lddqu|fisttp[sl]*'
    above+='|ph(add|sub)[wd]|ph(add|sub)sw|pmaddubsw|pmulhrsw|pshufb|psign[bwd]|pabs[bwd]|palignr'
    above+='|pmulld|pmuldq|dpp[sd]|blendv?p[sd]|pblend(w|vb)|pmin(sb|sd|uw|ud)|pmax(sb|sd|uw|ud)'
    above+='|round[ps][sd]|insertps|pinsr[bdq]|extractps|pextr[bdq]|pmov[sz]x[bwdq]+|mpsadbw'
    above+='|phminposuw|ptest|pcmpeqq|packusdw|movntdqa|pcmp[ei]str[im]|pcmpgtq|crc32[bwlq]?|popcnt[wlq]?'
    above+='|aes[a-z0-9]+|pclmul[a-z]*|sha[0-9]+[a-z0-9]+|andn[lq]?|bextr[lq]?|bls(i|r|msk)[lq]?|bzhi[lq]?'
    above+='|mulx[lq]?|pdep[lq]?|pext[lq]?|rorx[lq]?|s(ar|hl|hr)x[lq]?|adcx[lq]?|adox[lq]?|movbe[wlq]?'
    above+='|lzcnt[wlq]?|k[a-z]+[bwdq]|cmpxchg16b|t(ile|dp)[a-z0-9]+)$'
    listing=$T/listing
    find "$BUILD/quant" "$BUILD/kernels" "$BUILD/src" "$BUILD/tools" -name '*.o' |
        grep -E -v '/kernels/[a-z0-9_]+/[^/]*$' >"$T/objects"
    find "$BUILD/kernels/scalar" -name '*.o' >>"$T/objects"
    xargs objdump -d --no-show-raw-insn <"$T/objects" >"$listing"
    n=$(grep -c -E '^ +[0-9a-f]+:' "$listing")
    bad=$(awk -F'\t' -v above="$above" '
        /file format/ { file = $0; sub(/:.*/, "", file) }
        /^[0-9a-f]+ <.*>:$/ { function_name = $2 ? $2 : $0 }
        NF >= 2 && $1 ~ /^ +[0-9a-f]+:$/ {
            split($2, word, " "); name = word[1]
            if (name ~ /^(rep|repz|repnz|lock|notrack|bnd|data16|cs|ds)$/) name = word[2]
            if (name ~ above || $2 ~ /%[yz]mm/)
                print file ": " function_name " " $2
        }' "$listing" | grep -v -E '\b(verr|verw)\b' | head -n 20)
    if [ "$n" -lt 1000 ]; then
        not_ok baseline_instructions "only $n instructions found"
    elif [ -n "$bad" ]; then
        not_ok baseline_instructions "$bad"
    else
        ok baseline_instructions
    fi
    # The same search must find AVX2 where it belongs, or it could not fail.
    if find "$BUILD/kernels/avx2" -name '*.o' -print0 | xargs -0 objdump -d --no-show-raw-insn |
        awk -F'\t' -v above="$above" '{ split($2, word, " ") } word[1] ~ above { n++ }
            END { exit n < 10 }'; then
        ok avx2_is_found_in_avx2
    else
        not_ok avx2_is_found_in_avx2
    fi
    ;;
*) skipped baseline_instructions "built for $machine; the list is of x86-64's" ;;
esac
finish
