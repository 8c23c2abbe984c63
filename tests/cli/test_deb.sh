#!/usr/bin/env bash
# make deb: a package that lintian finds no fault in, installed into an empty root, run, and removed again.
# Builds the static program for it, so only with TEST_SIZE=full.
. tests/cli/common.sh
[ "${TEST_SIZE:-}" = full ] || {
    skipped deb "a part of make check-all (TEST_SIZE=full)"
    exit
}

if [ -n "$SANITIZER" ] || [ -n "${EMULATOR:-}" ] || ! git rev-parse HEAD >/dev/null 2>&1; then
    skipped deb "for plain native builds of a repository"
    exit
fi
if ! command -v dpkg-deb >/dev/null || ! command -v dpkg >/dev/null; then
    skipped deb "dpkg-deb is not installed"
    exit
fi
full=$([ "${TEST_SIZE:-}" != full ] || echo yes)
if [ ! "$full" ]; then
    make -s man BUILD="$BUILD"
    export DIST_BUILD=$BUILD
fi
if ! bash mk/deb.sh 9.9.9 "$T/deb" "$CC" >"$T/log" 2>&1; then
    not_ok deb_builds "$(tail -n 5 "$T/log")"
    finish
    exit
fi
deb=$(echo "$T"/deb/bise_9.9.9_*.deb)
expect deb_control dpkg-deb --field "$deb" Package Version Architecture
dpkg-deb -c "$deb" | awk '{ print $6 }' >"$T/list"
for file in usr/bin/bise usr/share/man/man1/bise.1.gz usr/share/man/man1/bise-serve.1.gz \
    usr/share/bash-completion/completions/bise usr/share/bise/demo.bise usr/share/doc/bise/server.md \
    usr/share/doc/bise/copyright usr/lib/systemd/system/bise-serve.service etc/bise/serve.conf; do
    expect "deb_has_$file" grep -q -x "./$file" "$T/list"
done
if command -v lintian >/dev/null; then
    lintian --fail-on error "$deb" >"$T/lintian" 2>&1
    status=$?
    # A program that is not the static one is not what is shipped; the rest of lintian's word counts.
    bad=$(grep '^E:' "$T/lintian" | { [ "$full" ] && cat || grep -v -E 'unstripped-binary|undeclared-elf'; })
    if [ -z "$bad" ] && [ $status -le 2 ]; then ok lintian; else not_ok lintian "$bad"; fi
else
    skipped lintian "lintian is not installed"
fi
if command -v systemd-analyze >/dev/null; then
    mkdir -p "$T/unit"
    sed 's|/usr/bin/bise|/bin/true|' mk/deb/bise-serve.service >"$T/unit/bise-serve.service"
    expect unit systemd-analyze verify --man=no "$T/unit/bise-serve.service"
else
    skipped unit "systemd-analyze is not installed"
fi
if [ "$(id -u)" -ne 0 ]; then
    skipped deb_installs "needs root"
    finish
    exit
fi
root=$T/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
dpkg_root() { dpkg --root="$root" --force-script-chrootless --log="$T/dpkg.log" "$@"; }
expect deb_installs dpkg_root -i "$deb"
same deb_runs 'bise 9.9.9' "bise $(dpkg --root="$root" -s bise | sed -n 's/^Version: //p')"
expect deb_program "$root/usr/bin/bise" run -m "$root/usr/share/bise/demo.bise" -p 'Once' -n 2 -q
same deb_conf_mode 600 "$(stat -c %a "$root/etc/bise/serve.conf")"
"$root/usr/bin/bise" serve --port 0 -q 2>"$T/serve.log" &
pid=$!
expect deb_serves wait_for grep -q '^address' "$T/serve.log"
kill $pid
wait $pid
same deb_stops 0 $?
expect deb_removes dpkg_root -r bise
if [ -e "$root/usr/bin/bise" ]; then not_ok deb_program_is_gone; else ok deb_program_is_gone; fi
expect deb_conf_stays test -e "$root/etc/bise/serve.conf"
expect deb_purges dpkg_root -P bise
if [ -e "$root/etc/bise/serve.conf" ]; then not_ok deb_conf_is_gone; else ok deb_conf_is_gone; fi
finish
