#!/usr/bin/env bash
# Praxis beside llama.cpp and sentence-transformers on this machine, in one run.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

scripts/setup.sh bench
build_peers

release_build bench_chat bench_embed

heading "Models"
target/release/praxis models pull \
    smollm2-135m-instruct qwen2.5-coder-1.5b-instruct all-minilm-l6-v2 multilingual-e5-small

heading "Measuring (some minutes; the machine should do nothing else)"
measure scripts/bench/run.py "$@"
