#!/usr/bin/env bash
# How many bytes the server and its page add to the stripped program.
# usage: tests/serve/size.sh
set -eu
BUILD=${BUILD:-build} CC=${CC:-cc}
size "$BUILD"/tools/serve/*.o "$BUILD/src/text/chat_tools.o" |
    awk 'NR > 1 { n += $1 + $2 } END { print "server and page: " n " bytes of program and constants" }'
