#!/usr/bin/env bash
# What the system may do to a program at work, and files that want to do more than be read.
. tests/cli/common.sh
M=models/demo.bise

# ---- a mapped model is cut short while a chat runs
cp $M "$T/cut.bise"
mkfifo "$T/in"
"$BISE" chat -m "$T/cut.bise" --mem mmap -q --temp 0 -n 8 --session "$T/talk" \
    <"$T/in" >"$T/out" 2>"$T/err" &
chat=$!
exec 3>"$T/in"
printf 'Hello\n' >&3
if wait_for test -s "$T/out"; then ok "a chat answers"; else not_ok "a chat answers"; fi
wait_for grep -q '$' "$T/out"
truncate -s 100000 "$T/cut.bise"
printf 'And you?\n' >&3
exec 3>&-
wait $chat
same "a model cut short ends it with 3" 3 $?
same "with one line" 1 "$(grep -c 'became shorter, or unreadable, while it was in use' "$T/err")"
cp $M "$T/cut.bise"
"$BISE" chat -m "$T/cut.bise" --session "$T/talk" -n 1 </dev/null >"$T/again" 2>"$T/err"
expect "and loses no message" grep -q "going on after 3 messages" "$T/err"

# ---- and one that is cut short before anything was read of it
if [ -z "$SANITIZER" ] && $CC -shared -fPIC -o "$T/cut.so" tests/cli/cut_mapped.c -ldl 2>/dev/null; then
    for command in verify inspect tokenize plan "quantize -o $T/x.bise" "diff $M"; do
        cp $M "$T/cut.bise"
        # shellcheck disable=SC2086
        CUT="$T/cut.bise" LD_PRELOAD="$T/cut.so" "$BISE" $command "$T/cut.bise" </dev/null >/dev/null 2>"$T/err"
        same "$command: cut short while it is read: 3" 3 $?
        same "$command: and one line" 1 "$(grep -c 'became shorter, or unreadable' "$T/err")"
    done
else
    skipped "files cut while they are opened" "no library can be preloaded"
fi

# ---- what is no file is refused, not waited for
mkfifo "$T/fifo"
for command in "inspect $T/fifo" "verify $T/fifo" "run -m $T/fifo -p a" "tokenize -m $T/fifo" \
    "chat -m $T/fifo" "plan -m $T/fifo" "quantize $T/fifo -o $T/x.bise" "diff $T/fifo $M" \
    "inspect /dev/zero" "verify /dev/zero" "run -m /dev/zero -p a" "tokenize -m /dev/zero" \
    "chat -m $M --session $T/fifo" "quantize $M -o /dev/null"; do
    # shellcheck disable=SC2086
    expect_exit "${command//$T/T}" 3 'regular file' timeout 10 "$BISE" $command </dev/null
done

# ---- names from files and folders do not steer the terminal
steering=$(printf 'no\033]0;T\007\nsound')
mkdir "$T/$steering"
for command in inspect verify "quantize -o $T/x.bise"; do
    # shellcheck disable=SC2086
    "$BISE" $command "$T/$steering" >"$T/out" 2>&1
    command=${command%% *}
    expect "$command shows an odd name" grep -q 'no\\x1b\]0;T\\x07\\nsound' "$T/out"
    expect "$command does not obey it" test "$(LC_ALL=C grep -c "$(printf '[\033\007]')" "$T/out")" = 0
done

# ---- limits of the process count
if [ -z "$SANITIZER" ]; then
    for limit in v d; do
        (
            ulimit -$limit 60000
            "$BISE" plan -m $M -c 200000 --window 0 -t 1
        ) >"$T/out" 2>"$T/err"
        same "ulimit -$limit: a plan that does not fit" 4 $?
        expect "ulimit -$limit: is told" grep -q 'would fit' "$T/err"
    done
else
    skipped "ulimit" "a sanitizer takes terabytes of addresses"
fi

# ---- a session that is a link, a journal that is a hole, an input that fails
mkdir "$T/real" "$T/links"
printf 'Hello\n' | "$BISE" chat -m $M -q -n 4 --session "$T/real/talk" >/dev/null 2>"$T/err"
ln -s ../real/talk "$T/links/talk"
printf 'And you?\n' | "$BISE" chat -m $M -q -n 4 --session "$T/links/talk" >/dev/null 2>"$T/err"
expect "a session that is a link stays one" test -L "$T/links/talk"
"$BISE" chat -m $M -n 1 --session "$T/real/talk" </dev/null >/dev/null 2>"$T/err"
expect "and what it leads to goes on" grep -q "going on after 4 messages" "$T/err"
same "with one journal" "talk" "$(cd "$T/links" && echo *)"
for begun in '' 'BISEJ\r\n\032'; do
    printf "%b" "$begun" >"$T/empty.journal"
    "$BISE" chat -m $M -q -n 1 --session "$T/empty" </dev/null 2>"$T/err"
    same "a journal without a word, left by a kill, is in nobody's way" 0 $?
    same "nor spoken of" "" "$(grep record "$T/err")"
done
if [ -z "$SANITIZER" ]; then
    printf 'BISEJ\r\n\032' >"$T/hole.journal"
    truncate -s 3G "$T/hole.journal"
    expect "a hole of 3 GB is no conversation" bash -c \
        "ulimit -v 1000000; '$BISE' chat -m $M -q -n 1 --session '$T/hole' </dev/null 2>'$T/err'"
    expect "which is said" grep -q "holds no whole record" "$T/err"
    truncate -s 3G "$T/hole"
    for option in "--grammar-file $T/hole" "--json-schema @$T/hole"; do
        # shellcheck disable=SC2086
        expect_exit "nor is one a grammar (${option%% *})" 3 "expected at most 16777216 bytes" \
            bash -c "ulimit -v 1000000; exec '$BISE' run -m $M -p a -n 1 $option"
    done
fi
"$BISE" chat -m $M -q </ >"$T/out" 2>"$T/err"
same "an input that cannot be read is no end" 3 $?
expect "and is said" grep -q "reading standard input: Is a directory" "$T/err"
"$BISE" chat -m $M -q --jsonl </ >"$T/out" 2>"$T/err"
same "nor with --jsonl" 3 $?
for command in "tokenize -m $M --jsonl" "run -m $M --jsonl -"; do
    # shellcheck disable=SC2086
    expect_exit "nor in ${command%% *}" 3 "reading failed: Is a directory" "$BISE" $command </
done

finish
