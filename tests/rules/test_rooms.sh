#!/usr/bin/env bash
# Which room may include which (tests/rules/rooms.txt), and that includes have one dialect: from the
# repository's root.
. tests/cli/common.sh

find kernels src quant tools bench -name '*.[ch]' | sort |
    xargs grep -H -o -E '^ *# *include +"[^"]+"' |
    sed -E 's/: *# *include +"([^"]+)"/ \1/' >"$T/includes"

# check_table TABLE INCLUDES: a line for each file that steps out of its room.
check_table() {
    awk '
        function room(file) { sub(/\/[^\/]*$/, "", file); return file }
        FILENAME == ARGV[1] {
            sub(/#.*/, "")
            if (!NF) next
            sub(/:$/, "", $1)
            known[$1] = 1
            for (i = 2; i <= NF; i++) may[$1, $i] = 1
            next
        }
        {
            from = room($1); to = room($2)
            if (!(from in known)) { print $1 " lies in no room of the table"; next }
            if (from != to && !((from, to) in may) && !((from, $2) in may))
                print $1 " includes " $2
        }' "$1" "$2"
}

bad=$(check_table tests/rules/rooms.txt "$T/includes")
if [ -z "$bad" ]; then ok rooms; else not_ok rooms "$bad"; fi

# Single headers that the table lists are included by somebody: what is listed is what is needed.
unused=$(sed 's/#.*//' tests/rules/rooms.txt | awk 'NF { sub(/:$/, "", $1); for (i = 2; i <= NF; i++) if ($i ~ /\.h$/) print $1, $i }' |
    while read -r room header; do
        grep -q -E "^$room/[^/]* $header\$" "$T/includes" || echo "$room: $header"
    done)
if [ -z "$unused" ]; then ok rooms_list_what_is_needed; else not_ok rooms_list_what_is_needed "$unused"; fi

# A table that forbids what is there must be seen to do so.
sed 's/^src\/engine: .*/src\/engine: src/' tests/rules/rooms.txt >"$T/strict.txt"
if check_table "$T/strict.txt" "$T/includes" | grep -q '^src/engine/.* includes src/'; then
    ok rooms_can_fail
else
    not_ok rooms_can_fail
fi

# circles INCLUDES: rooms that include each other, directly or by way of others: the first circle.
circles() {
    awk '
        function room(file) { sub(/\/[^\/]*$/, "", file); return file }
        function walk(from, path,   i, to) {
            if (path ~ " " from " ") {
                path = substr(path, index(path, " " from " ") + 1)
                print path from
                return 1
            }
            if (from in done) return 0
            for (i = 1; i <= n[from]; i++)
                if (walk(next_of[from, i], path from " ")) return 1
            done[from] = 1
            return 0
        }
        { a = room($1); b = room($2) }
        a != b && !((a, b) in known) { known[a, b] = 1; next_of[a, ++n[a]] = b; rooms[a] = 1 }
        END { for (r in rooms) if (walk(r, " ")) exit }' "$1"
}
found=$(circles "$T/includes")
if [ -z "$found" ]; then ok no_circles; else not_ok no_circles "$found"; fi
printf '%s\n' 'tools/edit/a.c tools/common/b.h' 'tools/common/b.h src/os/c.h' \
    'src/os/c.h tools/edit/d.h' >"$T/circle"
if [ -n "$(circles "$T/circle")" ]; then ok circles_can_fail; else not_ok circles_can_fail; fi

# Below the tools only src/os asks the operating system: everything else includes C11's own headers and
# the compiler's intrinsics.
c11='assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|stdalign|stdarg'
c11+='|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|uchar|wchar|wctype'
system_headers() { # system_headers FILE...: includes in <> of others
    grep -H -o -E '^ *# *include +<[^>]+>' "$@" |
        grep -v -E "<(($c11)|immintrin|arm_neon|arm_acle|cpuid)\.h>"
}
mapfile -t portable < <(find kernels src quant -name '*.[ch]' ! -path 'src/os/*' | sort)
bad=$(system_headers "${portable[@]}")
if [ -z "$bad" ]; then ok system_headers; else not_ok system_headers "$bad"; fi
if [ -n "$(system_headers src/os/*.[ch])" ]; then ok system_headers_are_found; else not_ok system_headers_are_found; fi
# What src/os offers names nothing of the system either.
bad=$(system_headers src/os/*.h)
if [ -z "$bad" ]; then ok os_headers; else not_ok os_headers "$bad"; fi

# Every included file is named from the root (tests/plain stands in for Criterion's headers).
bad=$(git ls-files '*.[ch]' 2>/dev/null | grep -v '^docs/' | xargs grep -H -o -E '^ *# *include +"[^"]+"' |
    sed -E 's/: *# *include +"([^"]+)"/ \1/' | while read -r file included; do
    [ -f "$included" ] || echo "$file includes $included"
done)
if [ -z "$bad" ]; then ok includes_from_the_root; else not_ok includes_from_the_root "$bad"; fi
finish
