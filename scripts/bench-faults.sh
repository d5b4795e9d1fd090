#!/usr/bin/env bash
# Kills and full disks: bench-faults.sh kills [ROUNDS [SEED]] | full [ROUNDS [SEED]] | all [ROUNDS]

source "$(dirname "$0")/lib/common.sh"

what="${1:-all}"
case "$what" in
    kills | full | all) shift || true ;;
    *) fail "usage: bench-faults.sh kills|full|all [ROUNDS [SEED]]" ;;
esac

scripts/setup.sh bench
heading "Building Praxis"
cargo build --release --locked
target/release/praxis models pull all-minilm-l6-v2

if [ "$what" != full ]; then
    heading "Kills (about half an hour for 200 rounds)"
    python3 scripts/bench/faults.py "$@"
fi
if [ "$what" != kills ]; then
    heading "Full disks (some minutes)"
    if [ "$what" = full ]; then python3 scripts/bench/full.py "$@"; else python3 scripts/bench/full.py; fi
fi
