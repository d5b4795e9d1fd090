#!/usr/bin/env bash
# Ingest end to end beside LlamaIndex with the same embedder.
#
# usage: bench-ingest.sh [DOCUMENTS]

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

scripts/setup.sh bench
[ -x "$python" ] || python3 -m venv target/peers
"$python" -c 'import llama_index.core, sentence_transformers' 2>/dev/null ||
    peer_pip install llama-index-core llama-index-readers-file sentence-transformers

heading "Building Praxis"
cargo build --release --locked
target/release/praxis models pull all-minilm-l6-v2

heading "Ingest (some minutes)"
measure scripts/bench/ingest.py "$@"
