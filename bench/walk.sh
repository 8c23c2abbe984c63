#!/usr/bin/env bash
# The first five minutes of a new user, with an empty home: time and keystrokes from git clone to the first
# answer, to the first answer of a checkpoint of one's own, and to a question about what comes in a pipe.
# usage: bench/walk.sh REPOSITORY CHECKPOINT      needs git, tmux and what building needs
set -eu
repository=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/bise-walk.XXXXXX")
trap 'tmux -L "$socket" kill-server 2>/dev/null; rm -rf "$folder"' EXIT
socket=bise-walk-$$
cp -rL "$2" "$folder/ck"
mkdir "$folder/home"
cd "$folder"
clean() { env -i HOME="$folder/home" PATH=/usr/local/bin:/usr/bin:/bin TERM=screen LANG=C.UTF-8 "$@"; }

keys=0
begun=$EPOCHREALTIME
run() { # run COMMAND: as typed, with Return
    keys=$((keys + ${#1} + 1))
    clean bash -c "$1" </dev/null 2>/dev/null
}
type_in() { # type_in TEXT
    keys=$((keys + ${#1} + 1))
    tmux -L "$socket" send-keys -t w "$1" Enter
}
wait_for_prompts() { # wait_for_prompts N: of the chat, on the screen
    until [ "$(tmux -L "$socket" capture-pane -p -t w | grep -c '^>')" -ge "$1" ]; do sleep 0.05; done
}
tell() { awk -v a="$begun" -v b="$EPOCHREALTIME" -v k=$keys -v what="$1" 'BEGIN { printf "%-44s %6.1f s  %4d keys\n", what, b - a, k }'; }

run "git clone -q $repository bise"
cd bise
keys=$((keys + 8)) # cd bise
clean tmux -L "$socket" new-session -d -s w -x 100 -y 40 bash --norc
type_in "make chat"
wait_for_prompts 1
tell "make chat: a prompt"
type_in "I want to find a restaurant in San Jose."
wait_for_prompts 2
tell "the first answer"
run "build/bise quantize ../ck -o toy --chat-format v1"
run "build/bise chat toy -p 'I need a flight'"
tell "the first answer of an own checkpoint"
run "cat README.md | build/bise chat toy -p 'What is it?' -n 30"
tell "a question about what comes in a pipe"
