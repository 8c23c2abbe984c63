#!/usr/bin/env bash
# Models in their home: made there, listed, run by name, removed; and the user's own defaults.
. tests/cli/common.sh
export HOME=$T/home
unset XDG_DATA_HOME XDG_CONFIG_HOME BISE_MODELS
mkdir -p "$HOME"
home=$HOME/.local/share/bise/models

expect_exit "none yet" 0 "bise pull NAME fetches one" "$BISE" list
same "none yet, for programs" "[]" "$("$BISE" list --json)"
expect_exit "made there" 0 "writing $home/tiny.bise" \
    "$BISE" quantize tests/data/golden/consolidated-swa -o tiny --no-tokenizer --type i8
expect "is there" test -s "$home/tiny.bise"
same "its folder is the owner's alone" 700 "$(stat -c %a "$home")"
cp models/demo.bise "$home/demo.bise"
"$BISE" list >"$T/list"
same "two are listed, and what they are" "demo i4 v1 tiny i8" \
    "$(awk 'NR > 1 { printf "%s%s %s", sep, $1, $(NF - 2); sep = " "; if ($1 == "demo") printf " %s", $(NF - 1) }' "$T/list")"
if command -v python3 >/dev/null; then
    same "and for programs" "demo tiny" "$("$BISE" list --json | python3 -c '
import json, sys
print(*[m["name"] for m in json.load(sys.stdin)])')"
else
    skipped list_json "no python3"
fi
expect "their sizes, small ones too" grep -Eq '^demo +4\.85 MB ' "$T/list"
expect "compared by name" "$BISE" diff tiny tests/data/golden/consolidated-swa
expect "a source by name" "$BISE" quantize tiny -o "$T/again.bise" --no-tokenizer --type f32
expect "is that file" "$BISE" diff tiny "$T/again.bise"
touch -a -d 2001-01-01 "$home/demo.bise"
expect "by name" "$BISE" run demo -p a -n 1 -q
if "$BISE" list | grep -q '^demo .*2001'; then not_ok "its use is noted"; else ok "its use is noted"; fi
expect_exit "a name near it" 3 "do you mean demo?" "$BISE" run -m demmo -p a
printf junk >"$home/junk.bise"
expect_exit "a damaged one is told" 0 "junk.bise is not a sound" "$BISE" list

# The config file.
mkdir -p "$HOME/.config/bise"
config=$HOME/.config/bise/config
printf '# mine\n model = demo \n\ntemp=0\nn-predict = 3\nno-save = on\nport = 8000\nthreads = 1\n' >"$config"
"$BISE" run -p 'The king' >"$T/a" 2>"$T/err"
"$BISE" run -m models/demo.bise -p 'The king' --temp 0 -n 3 -q >"$T/b" 2>/dev/null
same_files "what it says is done" "$T/a" "$T/b"
expect "the model is" grep -q "^$home/demo.bise: .* 1 thread;" "$T/err"
"$BISE" run models/demo.bise -t 2 -p 'The king' -n 2 >"$T/a" 2>"$T/err"
expect "the command line wins" grep -q "^models/demo.bise: .* 2 threads;" "$T/err"
expect "other commands have nothing of it" "$BISE" plan models/demo.bise
for line in 'temp' 'tempp = 1' 'temp = hot' 'quiet = maybe' 'prompt2 = x'; do
    echo "$line" >"$config"
    expect_exit "a fault: $line" 2 "config, line 1" "$BISE" run models/demo.bise -p a
done
rm "$config"
mkdir "$config"
expect_exit "one that cannot be read is not none" 2 "config: reading failed: Is a directory" "$BISE" run models/demo.bise -p a
rmdir "$config"

expect_exit "removed" 0 "removed: $home/tiny.bise" "$BISE" rm tiny </dev/null
expect "it has gone" test ! -e "$home/tiny.bise"
expect_exit "once" 3 "no model of this name" "$BISE" rm tiny
expect_exit "nothing outside" 2 "expected the NAME" "$BISE" rm ../models/demo
finish
