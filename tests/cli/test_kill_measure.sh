#!/usr/bin/env bash
# bise calibrate and perplexity killed at random: a sample of tests/kill/measure.sh. TEST_SIZE=full: more of it.
[ "${TEST_SIZE:-}" = full ] && kills=200 || kills=9
exec bash tests/kill/measure.sh "$kills"
