#!/usr/bin/env bash
# Inputs that broke earlier versions, each of a kind: refused or read, within 64 MB and four times their
# size, and what they say does not steer a terminal.
# With OLD, a program of an earlier version, prints what that takes beside (killed, 124, after 20 s)
# as a table: OLD=... BUILD=build bash tests/cli/test_hostile.sh
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped hostile "python3 is not there"
    finish
    exit
}
OLD=${OLD:-}
H=$SHARED/cases/hostile
M=models/demo.bise
mkdir "$T/h"
expect "hostile inputs" python3 tests/cli/hostile.py make "$T/h"

# taken PROGRAM ARGUMENT...: "exit seconds bytes", what was written in $T/said
taken() {
    python3 tests/cli/hostile.py run "${LIMIT:-100}" "$@" >"$T/said"
    head -n 1 "$T/said"
}

# A model at work takes what it takes: 80 MB for the demo model, its cache and a grammar's tables.
read -r _ _ model <<<"$(taken "$BISE" run -m $M -p a -n 1 --grammar 'root ::= "a"')"

row() { # row FILE STATUSES ARGUMENT...: FILE counts
    local file=$1 statuses=$2 code seconds bytes size name limit old=''
    shift 2
    name=${file##*/}
    size=$(du -bs "$file" | cut -f 1)
    read -r code seconds bytes <<<"$(taken "$BISE" "$@")"
    limit=$((64000000 + 4 * size))
    [ "$1" != run ] || limit=$((limit + model))
    if [[ " $statuses " == *" $code "* ]]; then ok "$name: $code"; else not_ok "$name" "exit status $code"; fi
    [ -n "$SANITIZER" ] || [ "$bytes" -le $limit ] || not_ok "$name" "took $bytes bytes, at most $limit expected"
    ! LC_ALL=C grep -q $'[\033\007]' "$T/said" || not_ok "$name" "steers the terminal"
    [ -n "$OLD" ] || return
    old=$(LIMIT=20 taken "$OLD" "$@")
    echo "$name $size $old $code $seconds $bytes" >>"$T/table"
}

for file in names nullable deep; do row "$T/h/$file.gbnf" "0" run -m $M -p a -n 1 --grammar-file "$T/h/$file.gbnf"; done
row "$T/h/deeper.gbnf" "2 3" run -m $M -p a -n 1 --grammar-file "$T/h/deeper.gbnf"
for file in oneof-10 oneof-40 oneof-100 deepprop deepre deepest; do
    row "$T/h/$file.json" "0 2 3" run -m $M -p a -n 1 --json-schema "@$T/h/$file.json"
done
for file in experts.gguf tensor.gguf architecture.gguf name.safetensors deep.safetensors; do
    row "$T/h/$file" 3 quantize "$T/h/$file" -o "$T/x.bise"
done
if [ -d "$H" ]; then
    gzip -dc "$H/F4-gguf-amplify.gguf.gz" >"$T/F4.gguf"
    gzip -dc "$H/F12-collide-60000.model.gz" >"$T/F12.model"
    gzip -dc "$H/F7-grammar-sets.gbnf.gz" >"$T/F7-sets.gbnf"
    for file in "$H/F1-two-gguf" "$H/F2-pickle-amplify" "$T/F4.gguf"; do row "$file" 3 quantize "$file" -o "$T/x.bise"; done
    row "$T/F12.model" 0 tokenize -m "$T/F12.model"
    row "$T/F7-sets.gbnf" "0 2 3" run -m $M -p a -n 1 --grammar-file "$T/F7-sets.gbnf"
    for file in F6-oneof-40.json F6-oneof-100.json; do
        row "$H/$file" "0 2 3" run -m $M -p a -n 1 --json-schema "@$H/$file"
    done
else
    skipped "hostile inputs of others" "$H is not there"
fi
[ -z "$OLD" ] || {
    echo "| input | bytes | before: status, seconds, MB | now: status, seconds, MB |"
    echo "|---|---|---|---|"
    awk '{ printf "| %s | %d | %s, %s, %d | %s, %s, %d |\n", $1, $2, $3, $4, $5 / 1e6, $6, $7, $8 / 1e6 }' "$T/table"
}
finish
