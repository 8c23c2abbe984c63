#!/usr/bin/env bash
# Texts that schemas let through, by random walks, given to two other validators: Debian's
# python3-jsonschema, and npm's ajv with ajv-formats and ajv-draft-04 where $AJV is a folder that has them.
# usage: bench/walks.sh SCHEMAS.jsonl[.gz] TOKENIZER N      N walks for each schema
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$build/tests/golden/schemas" "$1" "$2" --walks "$3" >"$out"
python3 bench/walks.py "$out"
if [ -n "${AJV:-}" ]; then
    node bench/walks.mjs "$out"
fi
