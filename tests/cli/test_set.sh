#!/usr/bin/env bash
# bise set: the header changes, no weight does, sessions stay valid.
. tests/cli/common.sh
file=$T/m.bise
cp models/demo.bise "$file"
tensors() { "$BISE" inspect "$1" --json | tr '{' '\n' | grep -o '"name":"[^"]*","type"\|"crc32c":"[^"]*"\|"error":.*'; }
tensors "$file" >"$T/before"
echo "Hello" | "$BISE" chat -m "$file" -q --temp 0 -n 4 --session "$T/session" >/dev/null 2>"$T/err" ||
    not_ok session "$(cat "$T/err")"

"$BISE" inspect "$T/session" >"$T/facts" 2>&1
expect "inspect knows a session" grep -q '^messages     1 of yours, 1 answer ' "$T/facts"
expect "and what it begins with" grep -q '^begins with  Hello$' "$T/facts"
expect_exit "set" 0 "window       64 tokens (it was 128 tokens)" "$BISE" set "$file" --chat-format chatml --window 64
expect "it is sound" "$BISE" verify "$file"
same "the chat format" 1 "$("$BISE" inspect "$file" | grep -c '^chat format  chatml$')"
same "the window" 1 "$("$BISE" inspect "$file" | grep -c 'sliding window 64$')"
tensors "$file" >"$T/after"
same_files "no weight has changed" "$T/before" "$T/after"
expect_exit "and back" 0 ": set" "$BISE" set -m "$file" --chat-format v1 --window 128
same_files "to the same bytes" models/demo.bise "$file"

# A name: version 2, and as long as it needs; without it the same bytes as before.
expect_exit "a name" 0 "name         The king's own (it was none)" "$BISE" set "$file" --name "The king's own"
expect "it is sound with it" "$BISE" verify "$file"
same "inspect shows it" "name         The king's own" "$("$BISE" inspect "$file" | sed -n 3p)"
expect "and in JSON" grep -q "^\"name\":\"The king's own\",$" <("$BISE" inspect "$file" --json)
tensors "$file" >"$T/after"
same_files "no weight has changed by a name" "$T/before" "$T/after"
expect_exit "a run says it" 0 "The king's own ($file): i4" "$BISE" run "$file" -p a -n 1
expect_exit "a name of two lines" 2 "expected a line" "$BISE" set "$file" --name $'a\nb'
expect_exit "a name that is too long" 2 "at most 127 bytes" "$BISE" set "$file" --name "$(printf %0128d 0)"
expect_exit "none again" 0 "name         none (it was The king's own)" "$BISE" set "$file" --name ""
same_files "gives the same bytes as before" models/demo.bise "$file"

# Another tokenizer is of another length: everything moves, and stays what it was.
expect_exit "a tokenizer" 0 ": set" "$BISE" set "$file" --tokenizer tests/data/demo/tokenizer.model
expect "it is sound with it" "$BISE" verify "$file"
tensors "$file" >"$T/after"
same_files "no weight has changed by it" "$T/before" "$T/after"
"$BISE" set "$file" --window 100 2>/dev/null
echo "And now?" | "$BISE" chat -m "$file" -q --temp 0 -n 4 --window 128 --session "$T/session" >"$T/out" 2>"$T/err"
same "a session stays valid" 0 $?
if grep -q "another model" "$T/err"; then not_ok "and is gone on with" "$(cat "$T/err")"; else ok "and is gone on with"; fi

cp "$file" "$T/kept"
expect_exit "nothing to set" 2 "expected what is to be set" "$BISE" set "$file"
expect_exit "no format" 2 "expected v1, v3" "$BISE" set "$file" --chat-format v9
expect_exit "no tokenizer" 3 "$T/kept" "$BISE" set "$file" --tokenizer "$T/kept"
expect_exit "no such tokenizer" 3 "$T/none" "$BISE" set "$file" --tokenizer "$T/none"
expect_exit "no model" 3 "no such file" "$BISE" set "$T/none.bise" --window 1
if [ "$(id -u)" -ne 0 ]; then
    chmod 500 "$T" && expect_exit "a folder that takes no file" 3 "" "$BISE" set "$file" --window 1
    chmod 700 "$T"
fi
same_files "what is refused changes nothing" "$T/kept" "$file"
finish
