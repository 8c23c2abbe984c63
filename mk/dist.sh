#!/usr/bin/env bash
# make dist: for each architecture a static, stripped program with the demo model, manual and licence
# in a tar.gz, and SHA256SUMS. The same source and compiler give the same bytes.
# usage: mk/dist.sh VERSION OUT CROSS_OR_NATIVE_COMPILER...
# DIST_BUILD=FOLDER: packs the program that was built there instead of building one.
set -eu
version=$1 out=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
make=${MAKE:-make}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
largest=$((2 * 1024 * 1024))
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.tar.gz "$out/SHA256SUMS"

for cc in "$@"; do
    if ! command -v "$cc" >/dev/null; then
        echo "mk/dist.sh: no $cc: left out" >&2
        continue
    fi
    arch=$("$cc" -dumpmachine)
    arch=${arch%%-*}
    name=bise-$version-linux-$arch
    tree=$out/$name
    # musl where the compiler is gcc and its specs for musl are installed (Debian: musl-dev of that
    # architecture): half the size. The kernel's headers, which musl does not bring, come last.
    libc=glibc libc_flags=
    specs=/usr/lib/$arch-linux-musl/musl-gcc.specs
    if [ -e "$specs" ] && "$cc" -specs "$specs" -v 2>&1 | grep -q '^gcc version'; then
        libc=musl libc_flags="-specs $specs"
        for headers in "/usr/$arch-linux-gnu/include" /usr/include "/usr/include/$arch-linux-gnu"; do
            [ ! -e "$headers/linux/futex.h" ] && [ ! -e "$headers/asm/types.h" ] ||
                libc_flags+=" -idirafter $headers"
        done
    fi
    rm -rf "$tree"
    build=${DIST_BUILD:-$out/build-$arch}
    if [ -z "${DIST_BUILD:-}" ]; then
        $make -j"$(getconf _NPROCESSORS_ONLN)" CC="$cc" BUILD="$build" \
            CFLAGS="-O2 -ffile-prefix-map=$root=." EXTRA_CFLAGS="$libc_flags" \
            LDFLAGS='-static -s -Wl,--build-id=none' "$build/bise" man
    fi
    bytes=$(stat -c %s "$build/bise")
    if [ -z "${DIST_BUILD:-}" ] && [ "$bytes" -gt "$largest" ]; then
        echo "mk/dist.sh: the program for $arch has $bytes bytes, expected at most $largest" >&2
        exit 1
    fi
    install -D -m 755 "$build/bise" "$tree/bin/bise"
    install -D -m 644 -t "$tree/share/man/man1" docs/bise.1 "$build"/man/*.1
    install -D -m 644 docs/completion/bise.bash "$tree/share/bash-completion/completions/bise"
    install -D -m 644 docs/completion/_bise "$tree/share/zsh/site-functions/_bise"
    install -D -m 644 models/demo.bise "$tree/share/bise/demo.bise"
    install -m 644 models/README.md "$tree/share/bise/README.md"
    install -m 644 README.md CONTRIBUTING.md LICENSE "$tree"
    install -D -m 644 -t "$tree/docs" docs/*.md docs/chat.svg docs/example.c
    install -D -m 644 models/README.md "$tree/models/README.md"
    # A link to what an archive of programs does not hold becomes its words.
    (cd "$tree" && for document in *.md docs/*.md; do
        grep -o '](\([a-z.][A-Za-z0-9_./-]*\))' "$document" | tr -d '()]' | sort -u | while read -r link; do
            [ -e "$(dirname "$document")/$link" ] ||
                sed -i "s|\\[\\([^]]*\\)\\]($link)|\\1|g" "$document"
        done
    done)
    tar --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
        -C "$out" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
    rm -rf "$tree"
    echo "$name.tar.gz: $(stat -c %s "$out/$name.tar.gz") bytes, program $bytes with $libc"
done
cd "$out"
sha256sum -- *.tar.gz >SHA256SUMS
