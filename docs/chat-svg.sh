#!/usr/bin/env bash
# Draws docs/chat.svg: a chat with the demo model, as it really goes. Every CPU writes the same.
# usage: docs/chat-svg.sh >docs/chat.svg      BISE: the program (build/bise)
set -eu
cd "$(dirname "$0")/.."
bise=${BISE:-build/bise}
questions=('I want to find a restaurant in San Jose.' 'Italian, please.' 'Yes, for two at seven.')

session=$(mktemp -u)
trap 'rm -f "$session" "$session.journal"' EXIT
for question in "${questions[@]}"; do
    printf '> %s\n' "$question"
    "$bise" chat -m models/demo.bise -q --temp 0.5 -s 4 -n 48 --session "$session" -p "$question" 2>/dev/null |
        fold -s -w 76
done | awk '
    { line[++n] = $0 }
    END {
        width = 680; height = 20 * n + 44
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" role=\"img\">\n", width, height
        print "<title>bise chat</title>"
        printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#16181d\"/>\n", width, height
        print "<g font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"14\" fill=\"#d8dee9\" xml:space=\"preserve\">"
        for (i = 1; i <= n; i++) {
            text = line[i]
            gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
            sub(/ +$/, "", text)
            printf "<text x=\"20\" y=\"%d\"%s>%s</text>\n", 20 * i + 14, line[i] ~ /^> / ? " fill=\"#88c0d0\"" : "", text
        }
        print "</g>\n</svg>"
    }'
