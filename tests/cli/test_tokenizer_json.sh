#!/usr/bin/env bash
# tokenizer.json: what SentencePiece gives, in every way of writing it; what the files around it add.
# usage: test_tokenizer_json.sh [N]      N random strings compared with Hugging Face's tokenizers
# TOKENIZERS  a folder with node_modules/tokenizers (npm install tokenizers)
. tests/cli/common.sh
N=${1:-300}
if ! command -v python3 >/dev/null; then
    skipped tokenizer_json "no python3"
    finish
    exit
fi
make_json() { python3 tests/compare/make_tokenizer_json.py "$@"; }
tok() { "$BISE" tokenize "$@"; }
demo=tests/data/demo/tokenizer.model
sed 's/.*"ids": /{"ids": /' tests/data/demo/tokenize.jsonl >"$T/want"
# A text that begins with a space gets no second one in the newer ways, nor one that begins with U+2581.
no_space() { paste -d'\t' tests/data/demo/tokenize.jsonl "$1" | grep -v -E '^\{"text": "( |▁|\\u2581)' | cut -f2; }
no_space "$T/want" >"$T/want.no_space"
for style in old first words; do
    make_json $demo $style "$T/$style.json"
    tok -m "$T/$style.json" --jsonl <tests/data/demo/tokenize.jsonl >"$T/ids"
    if [ $style = old ]; then
        same_files "old: equal to SentencePiece" "$T/ids" "$T/want"
        tok -m "$T/$style.json" --jsonl --decode <"$T/ids" | tok -m "$T/$style.json" --jsonl >"$T/again"
        same_files "text comes back" "$T/ids" "$T/again"
    else
        no_space "$T/ids" >"$T/ids.no_space"
        same_files "$style: equal to SentencePiece, where no space comes first" "$T/ids.no_space" "$T/want.no_space"
    fi
done

## Alone in a folder: a file of version 2

C=$T/c
"$BISE" synth --shape dim=32,ffn=32,layers=1,heads=2,vocab=4105 --checkpoint "$C" 2>/dev/null
cp "$T/old.json" "$C/tokenizer.json"
expect "tokenizer.json alone" "$BISE" quantize "$C" -o "$T/c.bise"
"$BISE" inspect "$T/c.bise" >"$T/page"
expect "version 2" grep -q "format 2, " "$T/page"
expect "rules of its own" grep -q "4096 pieces, .*rules of its own" "$T/page"
expect "the file is sound" "$BISE" verify "$T/c.bise"
same "the same ids" "$(printf 'Hello,  world!' | tok -m $demo)" "$(printf 'Hello,  world!' | tok -m "$T/c.bise")"
expect "a .bise file of it" "$BISE" quantize "$T/c.bise" -o "$T/c2.bise" --type i8
same "its tokenizer comes along" "$(printf 'a b' | tok -m $demo)" "$(printf 'a b' | tok -m "$T/c2.bise")"

## Tokens matched in text

make_json $demo tokens "$T/tokens.json"
cp "$T/tokens.json" "$C/tokenizer.json"
expect "with tokens" "$BISE" quantize "$C" -o "$T/t.bise"
same "one token" "$(printf 'a' | tok -m $demo) 4096 $(printf 'b' | tok -m $demo)" "$(printf 'a<plain>b' | tok -m "$T/t.bise")"
same "control pieces are text" "$(printf 'x</s>' | tok -m $demo)" "$(printf 'x</s>' | tok -m "$T/t.bise")"
same "but for --special" "1 $(printf 'x' | tok -m $demo) 2" "$(printf '<s>x</s>' | tok -m "$T/t.bise" --special)"

## Both there

cp $demo "$C/tokenizer.model"
expect_exit "tokenizer.model is taken, tokens of tokenizer.json are added" 0 \
    "tokens added to the tokenizer: 9, ids 4096 to 4104, matched in text: 9" "$BISE" quantize "$C" -o "$T/b.bise"
sed 's/"▁the": \([0-9]*\)/"▁thy": \1/' "$T/old.json" >"$C/tokenizer.json"
expect_exit "a tokenizer.json that disagrees" 0 "disagrees with the tokenizer.model that is taken" \
    "$BISE" quantize "$C" -o "$T/b.bise"
rm "$C/tokenizer.model"

## Settings

cp "$T/old.json" "$C/tokenizer.json"
echo '{"add_bos_token": false, "add_eos_token": true}' >"$C/tokenizer_config.json"
expect_exit "settings that disagree are said" 0 "disagree on what a text begins and ends with" \
    "$BISE" quantize "$C" -o "$T/b.bise"
same "kept in the file" '"add_bos":false,"add_eos":true,"tokenizer_rules":true' \
    "$("$BISE" inspect --json "$T/b.bise" | grep -o '"add_bos.*rules":true')"

rm "$C/tokenizer.json"
cp $demo "$C/tokenizer.model"
echo '{"legacy": false, "add_bos_token": true}' >"$C/tokenizer_config.json"
expect "legacy: false" "$BISE" quantize "$C" -o "$T/l.bise"
expect "it is shown" grep -q "rules of its own: a prefix where the text begins" <("$BISE" inspect "$T/l.bise")
expect "to programs too" grep -q '"prefix":"first"' <("$BISE" inspect --json "$T/l.bise")
prefixed=$(printf 'king' | tok -m $demo)
same "a prefix where the text begins" "$prefixed 1" "$(printf 'king<s>' | tok -m "$T/l.bise" --special)"
expect "and none behind a token" test "1 $prefixed" != "$(printf '<s>king' | tok -m "$T/l.bise" --special)"
same "which SentencePiece's rules have" "1 $prefixed" "$(printf '<s>king' | tok -m $demo --special)"
echo '{"legacy": true}' >"$C/tokenizer_config.json"
expect "legacy: true" "$BISE" quantize "$C" -o "$T/l.bise"
expect "needs no version 2" grep -q "format 1, " <("$BISE" inspect "$T/l.bise")

## What is something else

refuse() { # refuse NAME TEXT PROGRAM: of Python, that changes t
    python3 -c "import json, sys; t = json.load(open(sys.argv[1])); exec(sys.argv[2]); json.dump(t, open(sys.argv[3], 'w'))" \
        "$T/first.json" "$3" "$T/other.json"
    expect_exit "$1" 3 "$2" "$BISE" tokenize -m "$T/other.json" </dev/null
}
refuse "byte-level" "found a byte-level tokenizer" "t['pre_tokenizer'] = {'type': 'ByteLevel'}"
refuse "byte-level in a sequence" "found a byte-level tokenizer" \
    "t['pre_tokenizer'] = {'type': 'Sequence', 'pretokenizers': [{'type': 'Split'}, {'type': 'ByteLevel'}]}"
refuse Unigram "found a Unigram tokenizer" "t['model']['type'] = 'Unigram'"
refuse WordPiece "found a WordPiece tokenizer" "t['model']['type'] = 'WordPiece'"
refuse "no byte_fallback" "one without byte_fallback" "t['model']['byte_fallback'] = False"
refuse "a normalizer" "a normalizer NFKC" "t['normalizer'] = {'type': 'NFKC'}"
refuse "a pre-tokenizer" "a pre_tokenizer Whitespace" "t['pre_tokenizer'] = {'type': 'Whitespace'}"
refuse "a post-processor" "a post_processor BertProcessing" "t['post_processor'] = {'type': 'BertProcessing'}"
refuse "a merge of no pieces" "number 0 is no two pieces" "t['model']['merges'].insert(0, ['qzx', 'xzq'])"
refuse "a merge twice" "is there twice" "t['model']['merges'].append(t['model']['merges'][0])"
refuse "an id twice" "is there twice" "t['model']['vocab']['zzzz'] = 5"
refuse "an added token of another id" "is another piece" "t['added_tokens'][1]['id'] = 2"

echo '{"config": {"pattern": ""}, "vocab": [], "special_tokens": []}' >"$T/tekken.json"
expect_exit "tekken" 3 "found a tekken tokenizer" "$BISE" tokenize -m "$T/tekken.json" </dev/null

## Hugging Face's tokenizers

if ! command -v node >/dev/null || [ ! -d "${TOKENIZERS:-/nowhere}/node_modules/tokenizers" ]; then
    skipped "compared with tokenizers" "TOKENIZERS is no folder with node_modules/tokenizers, or no node"
    finish
    exit
fi
models=("$demo")
for version in v1 v2 v3; do
    [ ! -f "$SHARED/data/tokenizers/mistral-$version.model" ] || models+=("$SHARED/data/tokenizers/mistral-$version.model")
done
lines=()
[ ! -f "$SHARED/data/golden/tokenize.jsonl" ] || lines+=("$SHARED/data/golden/tokenize.jsonl")
for model in "${models[@]}"; do
    for style in old first words tokens first-tokens words-tokens; do
        make_json "$model" $style "$T/tokenizer.json"
        expect "$(basename "$model" .model) $style: $N strings" node tests/compare/tokenizer_json.mjs \
            "$TOKENIZERS" "$BISE" "$T/tokenizer.json" "$N" 1 "${lines[@]}"
        expect "$(basename "$model" .model) $style: $N strings with control tokens" node \
            tests/compare/tokenizer_json.mjs "$TOKENIZERS" "$BISE" "$T/tokenizer.json" "$N" 2 --special
    done
done
finish
