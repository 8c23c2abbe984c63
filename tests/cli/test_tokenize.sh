#!/usr/bin/env bash
# bise tokenize: ids and back, lines of JSON, faults.
. tests/cli/common.sh
M=tests/data/demo/tokenizer.model
tok() { "$BISE" tokenize -m $M "$@"; }


same "text to ids" "3284 4037 983 4053" "$(printf 'Hello, world!' | tok)"
same "nothing gives nothing" "" "$(tok </dev/null)"
same "a line's end is a token" "3284 13" "$(echo Hello | tok)"
same "ids to text" "Hello, world!" "$(echo 3284 4037 983 4053 | tok --decode)"
same "ids between commas" "Hello" "$(echo 3284, | tok --decode)"
same "jsonl" '{"ids": [3284]}' "$(echo '{"text": "Hello"}' | tok --jsonl)"
same "jsonl back" '{"text": "Hello"}' "$(echo '{"ids": [1, 3284, 2]}' | tok --jsonl --decode)"
same "escapes" '{"text": "\"\\\n"}' "$(echo '{"text": "\"\\\n"}' | tok --jsonl | tok --jsonl --decode)"
same "half a character is not written" '{"text": "�"}' \
    "$(echo '{"ids": [243]}' | tok --jsonl --decode)"

tok --jsonl <tests/data/demo/tokenize.jsonl >"$T/ids"
same "as many lines" "$(wc -l <tests/data/demo/tokenize.jsonl)" "$(wc -l <"$T/ids")"
sed 's/.*"ids": /{"ids": /' tests/data/demo/tokenize.jsonl >"$T/want"
same_files "equal to SentencePiece" "$T/ids" "$T/want"
tok --jsonl --decode <"$T/ids" | tok --jsonl >"$T/again"
same_files "text comes back" "$T/ids" "$T/again"

if [ -f models/demo.bise ]; then
    same "from a model" "3284" "$(printf Hello | "$BISE" tokenize -m models/demo.bise)"
else
    skipped "from a model" "models/demo.bise is not there"
fi

refuse() { # refuse NAME CODE TEXT INPUT OPTION...
    local name=$1 code=$2 text=$3
    printf '%b' "$4" >"$T/in"
    shift 4
    expect_exit "$name" "$code" "$text" "$BISE" tokenize -m $M "$@" <"$T/in"
}
refuse "invalid UTF-8" 2 "0xff at offset 2" 'ab\xffc'
refuse "not JSON" 3 "line 2" '{"text": "a"}\nnothing\n' --jsonl
refuse "no text" 3 '{"text": "..."}' '{"ids": [1]}' --jsonl
refuse "no ids" 3 '{"ids": [...]}' '{"text": "a"}' --jsonl --decode
refuse "an id beyond the vocabulary" 2 "from 0 to 4095" '1 4096' --decode
refuse "an id beyond the vocabulary in JSON" 2 "from 0 to 4095" '{"ids": [-1]}' --decode --jsonl
refuse "a word" 2 'found "one"' 'one' --decode
expect_exit "no such file" 3 "no-such-file" "$BISE" tokenize -m no-such-file
expect_exit "no model" 3 "Makefile" "$BISE" tokenize -m Makefile </dev/null
head -c 20000 $M >"$T/cut.model"
expect_exit "a model cut short" 3 "cut.model" "$BISE" tokenize -m "$T/cut.model" </dev/null
finish
