#!/usr/bin/env bash
# Exit codes and streams of the program without a model.
. tests/cli/common.sh

expect_exit no_command 2 'usage: bise COMMAND' "$BISE"
expect_exit unknown_command 2 'unknown command "frobnicate"' "$BISE" frobnicate
expect help "$BISE" --help
expect version "$BISE" --version
commands=$("$BISE" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
if [ "$(wc -w <<<"$commands")" -ge 13 ]; then ok commands_found; else not_ok commands_found "$commands"; fi
for command in $commands; do
    expect "help_$command" "$BISE" "$command" --help
    wide=$("$BISE" "$command" --help | awk 'length($0) > 100')
    same "help_is_not_wide_$command" "" "$wide"
    expect_exit "unknown_option_$command" 2 'unknown option --frobnicate' \
        "$BISE" "$command" --frobnicate
done
finish
