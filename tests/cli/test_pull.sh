#!/usr/bin/env bash
# bise pull, from a small hub of the tests' own: what is fetched, resumed, checked and refused.
. tests/cli/common.sh
if ! command -v curl >/dev/null || ! command -v python3 >/dev/null; then
    skipped pull "needs curl and python3"
    finish
    exit
fi
export HOME=$T/home
unset XDG_DATA_HOME BISE_MODELS HF_TOKEN http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
mkdir -p "$HOME" "$T/files"
cp tests/data/golden/gqa-swa/config.json tests/data/golden/gqa-swa/model.safetensors "$T/files/"
echo '{"chat_template": "none"}' >"$T/files/tokenizer_config.json"
echo "not to be fetched" >"$T/files/README.md"
python3 tests/cli/hub.py "$T/files" >"$T/port" 2>"$T/hub.err" &
hub=$!
trap 'kill $hub; rm -rf "$T"' EXIT
wait_for test -s "$T/port"
BISE_HUB=http://127.0.0.1:$(cat "$T/port")
export BISE_HUB
pull() { "$BISE" pull "$@" -o "$T/got" </dev/null; }
fetched() { # fetched NAME: the files are those of the hub
    local file
    for file in config.json model.safetensors tokenizer_config.json; do
        same_files "$1: $file" "$T/files/$file" "$T/got/$file"
    done
    same "$1: nothing else" "config.json model.safetensors tokenizer_config.json" \
        "$(cd "$T/got" && find . -type f | sed 's/^..//' | sort | xargs)"
}

expect_exit "a repository" 0 "next: bise quantize $T/got -o plain --type i4" pull tests/plain
fetched plain
: >"$T/log"
expect_exit "what is there is not fetched again" 0 "next:" pull tests/plain
same "but the list" 1 "$(wc -l <"$T/log" | tr -d ' ')"
rm -rf "$T/got"
expect_exit "redirects to another host" 0 "next:" pull tests/redirect
fetched redirect
rm -rf "$T/got"
: >"$T/log"
expect_exit "a connection that breaks" 0 "next:" pull tests/broken
fetched broken
expect "goes on where it was" grep -q 'model.safetensors bytes=[1-9]' "$T/log"
rm -rf "$T/got" && mkdir "$T/got"
head -c 1000 "$T/files/model.safetensors" >"$T/got/model.safetensors.part"
: >"$T/log"
expect_exit "an earlier fetch" 0 "next:" pull tests/plain
expect "is gone on with" grep -q 'model.safetensors bytes=1000-' "$T/log"
fetched resumed
rm -rf "$T/got" && mkdir "$T/got"
head -c 1000 "$T/files/model.safetensors" >"$T/got/model.safetensors.part"
expect_exit "a hub without ranges" 0 "next:" pull tests/norange
fetched norange

# Two at once would write into one file; so would the curl of one that was killed.
rm -rf "$T/got"
"$BISE" pull tests/slow -o "$T/got" </dev/null 2>/dev/null &
first=$!
expect "a fetch that takes long" wait_for test -s "$T/got/model.safetensors.part"
expect_exit "a second one" 1 "another bise pull" pull tests/slow
kill -KILL $first
wait $first 2>/dev/null
expect_exit "the first is killed, but not its curl" 1 "or the curl of one" pull tests/slow
touch "$T/go"
expect "curl ends" wait_for pull tests/slow
fetched slow

rm -rf "$T/got"
expect_exit "a wrong checksum" 1 "expected SHA-256 0000" pull tests/wrong
expect "leaves no file of that name" test ! -e "$T/got/model.safetensors" -a ! -e "$T/got/model.safetensors.part"
expect_exit "a wrong length" 1 "config.json: expected" pull tests/short
rm -rf "$T/got"
expect_exit "a small file that is no JSON" 3 "config.json" pull tests/junkfile
expect_exit "a list that is no JSON" 3 "the hub's listing" pull tests/junk
expect_exit "no weights" 3 "holds no checkpoint that bise reads" pull tests/none
expect_exit "no such repository" 3 "there is no such repository" pull tests/missing
expect_exit "more than the disk has" 4 "GB of free disk, found" pull tests/huge
rm -rf "$T/got"
expect_exit "paths of the list's own" 0 "next:" pull tests/evil
fetched evil
expect "go nowhere" test ! -e "$T/evil" -a ! -e /tmp/evil

rm -rf "$T/got"
expect_exit "a gated model says what to do" 3 "HF_TOKEN=hf_" pull tests/gated
export HF_TOKEN=wrong
expect_exit "a token that is not taken" 3 "was not taken" pull tests/gated
: >"$T/log"
export HF_TOKEN=right
expect_exit "one that is" 0 "next:" pull tests/gated
fetched gated
expect "goes to the hub" grep -q '^127.0.0.1.* Bearer right' "$T/log"
if grep -q '^localhost.*Bearer' "$T/log"; then not_ok "and to nobody else" "$(cat "$T/log")"; else ok "and to nobody else"; fi
export HF_TOKEN='a"b'
expect_exit "no token at all" 2 "HF_TOKEN is no token" pull tests/gated

unset HF_TOKEN
expect_exit "a name nobody knows" 2 "mistral-7b-instruct-v0.3" pull mistrall
for name in ../x a/../b /etc a/b/c 'a b/c' -- ''; do
    expect_exit "no name: $name" 2 "" pull "$name"
done 2>/dev/null
expect_exit "nobody there" 1 "http://127.0.0.1:1 could not be reached" env BISE_HUB=http://127.0.0.1:1 \
    BISE_MODELS="$T/alone" "$BISE" pull tests/plain
expect "leaves nothing" test ! -e "$T/alone/sources/plain"
expect_exit "no plain http" 2 "begins with https://" env BISE_HUB=http://example.com "$BISE" pull tests/plain
expect_exit "nor other things" 2 "begins with https://" env BISE_HUB=file:///etc "$BISE" pull tests/plain
expect_exit "--rm alone" 2 "goes with --quantize" pull tests/plain --rm

# Weights in several files, and their index.
mkdir "$T/sharded"
cp tests/data/golden/sharded-odd/*.json tests/data/golden/sharded-odd/*.safetensors "$T/sharded/"
python3 tests/cli/hub.py "$T/sharded" >"$T/port2" 2>"$T/hub.err" &
hub2=$!
trap 'kill $hub $hub2; rm -rf "$T"' EXIT
wait_for test -s "$T/port2"
rm -rf "$T/got"
expect_exit "several files" 0 "5 files" \
    env BISE_HUB="http://127.0.0.1:$(cat "$T/port2")" "$BISE" pull tests/plain -o "$T/got"
expect "all of them" diff -r "$T/sharded" "$T/got"

# And a file of it, by name, the source removed.
expect_exit "made into a file" 0 "next: bise chat plain" "$BISE" pull tests/plain --quantize i4 --rm
expect "which is there" "$BISE" verify plain
expect "the source is not" test ! -e "$HOME/.local/share/bise/models/sources/plain"
expect_exit "no curl" 1 "By hand:" env PATH="$T/nowhere" "$BISE" pull tests/plain
finish
