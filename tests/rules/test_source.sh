#!/usr/bin/env bash
# Rules of the source: lengths, names of kernels. (Who may include whom: test_rooms.sh.)
. tests/cli/common.sh

sources() { # the C files of some folders
    find "$@" -name '*.[ch]' | sort
}

# The public header stands alone.
if grep -q -E '^ *# *include +"' src/bise.h; then not_ok public_header; else ok public_header; fi

long=$(sources quant kernels src tools tests | xargs wc -l | awk '$2 != "total" && $1 > 800')
if [ -z "$long" ]; then ok file_length; else not_ok file_length "over 800 lines: $long"; fi

wide=$(sources quant kernels src tools tests | xargs grep -n -E '^.{101,}' | cut -d: -f1,2)
if [ -z "$wide" ]; then ok line_length; else not_ok line_length "over 100 columns: $wide"; fi

# A function starts at a line "... {" in column 0 and ends at "}"; kernels may have longer loops.
long=$(sources quant src tools | xargs awk '
    /^[a-z].*\) \{$/ || (/^ .*\) \{$/ && !start && previous ~ /^[a-z]/) { start = FNR }
    /^\}/ { if (start && FNR - start > 81) print FILENAME ":" start; start = 0 }
    { previous = $0 }
    FNR == 1 { start = 0 }')
if [ -z "$long" ]; then ok function_length; else not_ok function_length "over 80 lines: $long"; fi

# Text that is not the program's own reaches the terminal by one way: say, print, print_to, which show
# control characters (tools/common/output.h). Constants may be written as they are, and colours.
raw_prints() { # raw_prints FILE...: printf and the like to a stream, with text put in
    awk '
        /(^|[^a-z_])(f|v|vf)?printf\(/ { statement = ""; open = 1; line = FNR }
        open { statement = statement $0 }
        open && /;[ \t]*$/ {
            if (statement ~ /%[-.*0-9]*s/ && statement !~ /paint\(/ && statement !~ /printf\(f,/)
                print FILENAME ":" line
            open = 0
        }' "$@"
}
mapfile -t printing < <(sources tools | grep '\.c$' | grep -v '^tools/common/output\.c$')
bad=$(raw_prints "${printing[@]}")
if [ -z "$bad" ]; then ok nothing_raw_is_printed; else not_ok nothing_raw_is_printed "$bad"; fi
printf 'fprintf(stderr,\n "%%s", name);\n' >"$T/raw.c"
if [ -n "$(raw_prints "$T/raw.c")" ]; then ok raw_prints_are_found; else not_ok raw_prints_are_found; fi

# Function bodies of four lines and more stand once.
twice=$(bash tests/rules/figures.sh | awk '/stand twice$/ { print $1 }')
if [ "${twice:-9}" -eq 0 ]; then ok bodies_stand_once; else not_ok bodies_stand_once "$(bash tests/rules/figures.sh -v)"; fi

left=$(sources quant kernels src tools tests | xargs grep -n -E '\b(TODO|FIXME|XXX|HACK)\b')
if [ -z "$left" ]; then ok nothing_left_for_later; else not_ok nothing_left_for_later "$left"; fi

# Kernels: the slots' names follow <op> or <op>_<out>_<act>_<wgt>; whatever is put into a slot is
# named SLOT_ISA after its folder; the scalar folder fills every slot.
slots=$(sed -n 's/^    [a-z0-9_]*_fn \*\([a-z0-9_]*\);/\1/p' kernels/kernels.h)
if [ "$(wc -w <<<"$slots")" -ge 20 ]; then ok slots_found; else not_ok slots_found "$slots"; fi
bad=$(grep matmul <<<"$slots" | grep -v -x -E 'matmul_f32_(f32|q32|q128)_(f32|bf16|i8|i4)')
if [ -z "$bad" ]; then ok slot_grammar; else not_ok slot_grammar "$bad"; fi
for folder in kernels/*/; do
    isa=$(basename "$folder")
    assigned=$(cat "$folder"*.c | grep -o -E '\bk->[a-z0-9_]+ = [a-z0-9_]+;' |
        sed -E 's/k->([a-z0-9_]+) = ([a-z0-9_]+);/\1 \2/' | grep -v -E '^(isa|name) ')
    bad=$(awk -v isa="$isa" '$2 != $1 "_" isa' <<<"$assigned" | grep .)
    if [ -z "$bad" ]; then ok "kernel_names_$isa"; else not_ok "kernel_names_$isa" "$bad"; fi
    if [ "$isa" = scalar ]; then
        missing=$(comm -23 <(sort <<<"$slots") <(cut -d' ' -f1 <<<"$assigned" | sort) | xargs)
        if [ -z "$missing" ]; then ok scalar_fills_all; else not_ok scalar_fills_all "$missing"; fi
    fi
done
finish
