#!/usr/bin/env bash
# make dist: one archive, the same bytes twice, whose program runs its demo model and needs nothing.
# TEST_SIZE=full builds the program for it, twice; else the one at hand is packed.
. tests/cli/common.sh

if [ -n "$SANITIZER" ] || [ -n "${EMULATOR:-}" ] || ! git rev-parse HEAD >/dev/null 2>&1; then
    skipped dist "for plain native builds of a repository"
    finish
    exit
fi
full=$([ "${TEST_SIZE:-}" != full ] || echo yes)
if [ ! "$full" ]; then
    make -s man BUILD="$BUILD"
    export DIST_BUILD=$BUILD
fi
dist() { bash mk/dist.sh 9.9.9 "$T/$1" "$CC" >"$T/log" 2>&1; }
if ! dist one || ! dist two; then
    not_ok dist_builds "$(tail -n 5 "$T/log")"
    finish
    exit
fi
archive=$(cd "$T/one" && echo bise-*.tar.gz)
same_files dist_same_bytes "$T/one/$archive" "$T/two/$archive"
expect dist_checksums sh -c "cd '$T/one' && sha256sum -c SHA256SUMS"
tar -C "$T" -xzf "$T/one/$archive"
folder=$T/${archive%.tar.gz}
for file in bin/bise README.md LICENSE share/man/man1/bise.1 share/man/man1/bise-run.1 \
    share/bash-completion/completions/bise share/zsh/site-functions/_bise share/bise/demo.bise; do
    expect "dist_has_$file" test -s "$folder/$file"
done
broken=$(cd "$folder" && for document in *.md docs/*.md; do
    grep -o '](\([a-z.][A-Za-z0-9_./-]*\))' "$document" | tr -d '()]' | sort -u | while read -r link; do
        [ -e "$(dirname "$document")/$link" ] || echo "$document: $link"
    done
done)
same dist_links "" "$broken"
expect dist_runs "$folder/bin/bise" run -p 'Once upon a time' -n 4 --temp 0
if [ "$full" ]; then
    libraries=$(readelf -d "$folder/bin/bise" | grep NEEDED; echo "${PIPESTATUS[0]}")
    same dist_static 0 "$libraries"
fi
finish
