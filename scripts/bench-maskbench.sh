#!/usr/bin/env bash
# MaskBench: how many instances of its schemas the constraints of the chat engine judge wrongly, and how long a mask
# takes. The sample is ../shared/conformance/maskbench-sample.jsonl, which is not part of this repository.
#
# usage: bench-maskbench.sh [NAME]     (default: all schemas)

source "$(dirname "$0")/lib/common.sh"

schemas=../shared/conformance/maskbench-sample.jsonl
if [ ! -e "$schemas" ]; then
    echo "SKIPPED: $schemas is not on this machine"
    exit 0
fi
scripts/setup.sh bench

release_build maskbench
target/release/praxis models pull smollm2-135m-instruct

heading "Measuring (some minutes)"
model="$(target/release/praxis models info smollm2-135m-instruct --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["path"])')"
target/release/examples/maskbench "$model" "$schemas" "$@"
