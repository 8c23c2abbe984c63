#!/usr/bin/env bash
# make deb: bise_VERSION_ARCH.deb for each architecture: the static program of make dist with manual,
# completion, demo model and a systemd unit that is not started by itself. The same source and compiler
# give the same bytes.
# usage: mk/deb.sh VERSION OUT CROSS_OR_NATIVE_COMPILER...
# DIST_BUILD=FOLDER: packs the program that was built there instead of building one.
set -eu
version=$1 out=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
out=$(cd "$out" && pwd)
umask 022

for cc in "$@"; do
    command -v "$cc" >/dev/null || {
        echo "mk/deb.sh: no $cc: left out" >&2
        continue
    }
    machine=$("$cc" -dumpmachine)
    case $machine in
    x86_64-*) arch=amd64 ;;
    aarch64-*) arch=arm64 ;;
    *)
        echo "mk/deb.sh: $machine: expected x86_64 or aarch64" >&2
        exit 1
        ;;
    esac
    bash mk/dist.sh "$version" "$out/dist-$arch" "$cc"
    tree=$out/tree-$arch
    rm -rf "$tree"
    mkdir -p "$tree/DEBIAN" "$tree/usr/lib/systemd/system" "$tree/etc/bise" "$tree/usr/share/doc/bise"
    tar -C "$tree/usr" --strip-components=1 -xzf "$out/dist-$arch/bise-$version-linux-${machine%%-*}.tar.gz"
    mkdir -p "$tree/usr/share/zsh/vendor-completions"
    mv "$tree/usr/share/zsh/site-functions/_bise" "$tree/usr/share/zsh/vendor-completions/_bise"
    rmdir "$tree/usr/share/zsh/site-functions"
    mv "$tree"/usr/*.md "$tree/usr/share/doc/bise/"
    [ ! -d "$tree/usr/docs" ] || mv "$tree/usr/docs" "$tree/usr/share/doc/bise/docs"
    mv "$tree/usr/share/bise/README.md" "$tree/usr/share/doc/bise/demo.md"
    rm "$tree/usr/LICENSE"
    install -m 644 docs/server.md "$tree/usr/share/doc/bise/server.md"
    gzip -9n "$tree"/usr/share/man/man1/*.1
    install -m 644 mk/deb/bise-serve.service "$tree/usr/lib/systemd/system/"
    install -m 600 mk/deb/serve.conf "$tree/etc/bise/serve.conf"
    mkdir -p "$tree/usr/share/lintian/overrides"
    {
        echo '# One program that needs nothing of the system, so that it runs on every release.'
        echo 'bise: statically-linked-binary [usr/bin/bise]'
        echo '# It holds a key.'
        echo 'bise: non-standard-file-perm 0600 != 0644 [etc/bise/serve.conf]'
        echo '# Without debhelper; the unit is never started by itself.'
        echo 'bise: maintainer-script-calls-systemctl *'
    } >"$tree/usr/share/lintian/overrides/bise"
    chmod 644 "$tree/usr/share/lintian/overrides/bise"
    echo /etc/bise/serve.conf >"$tree/DEBIAN/conffiles"
    {
        printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n'
        printf 'Files: *\nCopyright: 2026 the bise developers\nLicense: MIT\n\n'
        printf 'Files: usr/share/bise/demo.bise\nCopyright: 2026 the bise developers\nLicense: CC-BY-SA-4.0\n'
        printf 'Comment: what it was trained on stands in /usr/share/doc/bise/demo.md\n\n'
        printf 'License: MIT\n'
        sed -e '1,/^Copyright/d' -e '1,/./{/^$/d}' -e 's/^$/./' -e 's/^/ /' LICENSE
        printf '\nLicense: CC-BY-SA-4.0\n The text of this license is at\n'
        printf ' https://creativecommons.org/licenses/by-sa/4.0/legalcode\n'
    } >"$tree/usr/share/doc/bise/copyright"
    {
        printf 'bise (%s) stable; urgency=medium\n\n  * See the project'"'"'s history.\n\n' "$version"
        printf ' -- the bise developers <maintainers@bise.invalid>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
    } | gzip -9n >"$tree/usr/share/doc/bise/changelog.gz"
    for script in postinst postrm; do
        printf '#!/bin/sh\nset -e\n[ ! -d /run/systemd/system ] || systemctl daemon-reload || true\n' \
            >"$tree/DEBIAN/$script"
        chmod 755 "$tree/DEBIAN/$script"
    done
    cat >"$tree/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now bise-serve.service >/dev/null 2>&1 || true
fi
SCRIPT
    chmod 755 "$tree/DEBIAN/prerm"
    cat >"$tree/DEBIAN/control" <<CONTROL
Package: bise
Version: $version
Architecture: $arch
Maintainer: the bise developers <maintainers@bise.invalid>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Section: science
Priority: optional
Description: run Mistral 7B and its family on CPUs
 bise quantizes a checkpoint once into one file and runs it: in a terminal, for
 scripts, and as a server with OpenAI's interface and a web page. The same file,
 prompt, seed and settings give the same answer on every CPU.
 .
 A small demo model is included; the service bise-serve is not started by
 itself.
CONTROL
    (cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
    find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/bise_${version}_$arch.deb" >/dev/null
    rm -rf "$tree" "$out/dist-$arch"
    echo "bise_${version}_$arch.deb: $(stat -c %s "$out/bise_${version}_$arch.deb") bytes"
done
