#!/usr/bin/env bash
# Which questions `praxis.cache` takes for one, by the least cosine of their vectors: hits and false hits over 240
# questions with paraphrases and with others that look alike.
#
# usage: bench-reuse.sh [OPTION...]     (those of scripts/bench/reuse.py: --model NAME and --app DIR for another embedder,
#                                        --pairs FILE for questions of your own)

source "$(dirname "$0")/lib/common.sh"

scripts/setup.sh bench

release_build reuse

heading "Models"
target/release/praxis models pull multilingual-e5-small

heading "Measuring (some seconds)"
python3 scripts/bench/reuse.py "$@"
