#!/usr/bin/env bash
# Changed files through every loader of documents: no panic, no hang, no gibibyte.
#
# usage: fuzz.sh     (MINUTES=10 for each format; FORMAT=xlsx for one of them, SEED=7 for other changes)

source "$(dirname "$0")/lib/common.sh"

scripts/setup.sh build
export MINUTES="${MINUTES:-10}"
heading "Fuzzing the loaders (${FORMAT:-each format} for $MINUTES minutes)"
cargo test --release --locked -p praxis-knowledge fuzz -- --ignored --nocapture
