#!/usr/bin/env bash
# The page in headless Chromium (BISE_NPM or $BUILD/npm has playwright-core; CHROMIUM names the browser).
. tests/cli/common.sh
export BISE_NPM=${BISE_NPM:-$BUILD/npm} CHROMIUM=${CHROMIUM:-$(command -v chromium)}
if grep -q innerHTML tools/serve/page/page.js; then not_ok no_inner_html; else ok no_inner_html; fi
size=$(cat tools/serve/page/* | wc -c)
if [ "$size" -le 81920 ]; then ok page_size; else not_ok page_size "$size bytes"; fi
if ! command -v node >/dev/null || [ -z "$CHROMIUM" ] || [ ! -d "$BISE_NPM/node_modules/playwright-core" ]; then
    skipped page "node, chromium or the npm package playwright-core is not installed"
    finish
    exit
fi
mkdir "$T/shots"
node tests/serve/page.mjs "${SCREENSHOTS:-$T/shots}" || n_bad=1
finish
