#!/usr/bin/env bash
# Installs the npm packages that tests/serve uses into $BUILD/npm. No scripts of theirs are run.
set -eu
folder=${1:-${BUILD:-build}/npm}
mkdir -p "$folder"
cd "$folder"
[ -f package.json ] || echo '{"private": true}' >package.json
npm install --ignore-scripts --no-audit --no-fund --silent \
    openai@6 @mistralai/mistralai@2 playwright-core@1
