#!/usr/bin/env bash
# Figures of the source: product lines (those of kernels, src, quant and tools without blank ones and
# comments), function bodies of four lines or more that stand twice, word for word, and of six lines or
# more that are the same but for names.
# usage: tests/rules/figures.sh [-v] [TREE]      -v: names the bodies; TREE: a checkout (this one)
set -u
verbose=0
[ "${1:-}" != -v ] || { verbose=1 && shift; }
cd "${1:-$(dirname "$0")/../..}" || exit 1

find kernels src quant tools -name '*.[ch]' | sort | xargs awk -v verbose="$verbose" '
    # The line without comments; strings and characters are kept as they are.
    function code(line,   out, i, n, c, two) {
        n = length(line)
        for (i = 1; i <= n; i++) {
            two = substr(line, i, 2)
            c = substr(line, i, 1)
            if (in_comment) {
                if (two == "*/") { in_comment = 0; i++ }
                continue
            }
            if (quote) {
                out = out c
                if (c == "\\") { i++; out = out substr(line, i, 1) }
                else if (c == quote) quote = ""
                continue
            }
            if (two == "/*") { in_comment = 1; i++; continue }
            if (two == "//") break
            if (c == "\"" || c == "\047") quote = c
            out = out c
        }
        quote = ""
        gsub(/[ \t]+/, " ", out)
        gsub(/^ | $/, "", out)
        return out
    }
    # The body with every name replaced by the number of its first appearance.
    function shape(body,   out, name, number, n) {
        while (match(body, /[A-Za-z_][A-Za-z0-9_]*/)) {
            name = substr(body, RSTART, RLENGTH)
            if (!(name in number)) number[name] = ++n
            out = out substr(body, 1, RSTART - 1) "@" number[name]
            body = substr(body, RSTART + RLENGTH)
        }
        return out body
    }
    FNR == 1 { in_comment = 0; in_body = 0 }
    {
        text = code($0)
        if (text == "") next
        lines++
        if ($0 ~ /^}/ && in_body) {
            if (n_body >= 4) { seen[body]++; where[body] = where[body] " " FILENAME ":" start }
            if (n_body >= 6) {
                form = shape(body)
                seen_form[form]++
                where_form[form] = where_form[form] " " FILENAME ":" start
            }
            in_body = 0
        } else if (in_body) {
            body = body "\n" text
            n_body++
        } else if ($0 ~ /\) \{$/ && $0 !~ /^(struct|enum|union) [a-z0-9_]* \{/) {
            in_body = 1; n_body = 0; body = ""; start = FNR
        }
    }
    END {
        for (body in seen)
            if (seen[body] > 1) {
                twice += seen[body] - 1
                if (verbose) print "again:" where[body]
            }
        for (form in seen_form)
            if (seen_form[form] > 1) {
                alike += seen_form[form] - 1
                if (verbose) print "alike:" where_form[form]
            }
        printf "%d product lines\n", lines
        printf "%d function bodies that stand twice\n%d that stand twice but for names\n", twice, alike
    }'
