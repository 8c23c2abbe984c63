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

# A table that forbids what is there must be seen to do so.
sed 's/^src\/engine: .*/src\/engine: src/' tests/rules/rooms.txt >"$T/strict.txt"
if check_table "$T/strict.txt" "$T/includes" | grep -q '^src/engine/.* includes src/'; then
    ok rooms_can_fail
else
    not_ok rooms_can_fail
fi

# Every included file is named from the root (tests/plain stands in for Criterion's headers).
bad=$(git ls-files '*.[ch]' 2>/dev/null | grep -v '^docs/' | xargs grep -H -o -E '^ *# *include +"[^"]+"' |
    sed -E 's/: *# *include +"([^"]+)"/ \1/' | while read -r file included; do
    [ -f "$included" ] || echo "$file includes $included"
done)
if [ -z "$bad" ]; then ok includes_from_the_root; else not_ok includes_from_the_root "$bad"; fi
finish
