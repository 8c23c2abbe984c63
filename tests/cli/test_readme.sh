#!/usr/bin/env bash
# The README's commands, as they stand there, on a small random checkpoint in place of the download.
. tests/cli/common.sh

readme=$PWD/README.md example=$PWD/docs/example.c
mkdir "$T/bin" "$T/docs"
ln -s "$BISE" "$T/bin/bise"
cp "$example" "$T/docs/"
checkpoint=$T/Mistral-7B-Instruct-v0.3
small=dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=4096
expect checkpoint "$BISE" synth --shape "$small" --checkpoint "$checkpoint"
cp tests/data/demo/tokenizer.model "$checkpoint/"
echo '{"chat_template": "{% for message in messages %}[INST] {{ message.content }} [/INST]{% endfor %}"}' \
    >"$checkpoint/tokenizer_config.json"
printf 'The old king looked at the troll.\n%.0s' {1..90} | tee "$T/book.txt" >"$T/wiki.test.raw"
echo 'Once upon a time there was' >"$T/prompt.txt"

# The lines of code that begin with bise, or feed it.
commands=$(sed -n 's/^    \(\(bise\|echo\) .*\)/\1/p' "$readme")
n=$(grep -c . <<<"$commands")
if [ "$n" -ge 12 ]; then ok "found $n commands"; else not_ok "found $n commands"; fi
while read -r command; do
    # A model of the full size is for those who ask for it.
    run=${command/--shape mistral-7b /--shape $small }
    run=${run/-m mistral-7b-v0.1.bise/-m mistral.bise}
    if (cd "$T" && PATH=$T/bin:$PATH bash -c "$run") </dev/null >"$T/out" 2>"$T/err"; then
        ok "$command"
    else
        not_ok "$command" "$(tail -n 5 "$T/err")"
    fi
done <<<"$commands"

# make goals and files that the README names.
while read -r goal; do
    if grep -q -E "^([a-z-]+ )*$goal( [a-z-]+)*:" Makefile mk/*.mk; then ok "make $goal"; else not_ok "make $goal"; fi
done < <(grep -o -E '`make [a-z]+' "$readme" | cut -d' ' -f2 | sort -u)
while read -r file; do
    if [ -e "$file" ]; then ok "$file"; else not_ok "$file"; fi
done < <(grep -o '](\([a-z][A-Za-z0-9_./]*\))' "$readme" | tr -d '()]' | sort -u)
finish
