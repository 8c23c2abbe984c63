#!/usr/bin/env bash
# bise quantize killed at random: a sample of tests/kill/quantize.sh. TEST_SIZE=full: more of it.
[ "${TEST_SIZE:-}" = full ] && kills=200 || kills=8
exec bash tests/kill/quantize.sh "$kills"
