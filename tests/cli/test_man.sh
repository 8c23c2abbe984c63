#!/usr/bin/env bash
# The man page names every command and every option that --help knows, and renders without a warning.
. tests/cli/common.sh

sed -e 's/\\f[A-Z]//g' -e 's/\\//g' docs/bise.1 >"$T/page"
commands=$("$BISE" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
for command in $commands; do
    expect "man_$command" grep -q -E "^\.B bise $command " "$T/page"
    missing=''
    for option in $("$BISE" "$command" --help | sed -n 's/^  \(-.*\)/\1/p' | sed 's/   .*//' |
        grep -o -E '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,'); do
        grep -q -E -- "^\.B ([^ ]+, )*$option(,| |\$)" "$T/page" || missing+=" $option"
    done
    if [ -z "$missing" ]; then ok "man_options_$command"; else not_ok "man_options_$command" "$missing"; fi
done

if command -v mandoc >/dev/null; then
    expect man_renders mandoc -T lint -W warning docs/bise.1
elif command -v groff >/dev/null; then
    warnings=$(groff -man -Tutf8 -ww docs/bise.1 2>&1 >"$T/rendered")
    if [ -z "$warnings" ] && grep -q "User commands" "$T/rendered"; then
        ok man_renders
    else
        not_ok man_renders "$warnings"
    fi
else
    skipped man_renders "neither mandoc nor groff is installed"
fi
finish
