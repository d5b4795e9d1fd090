#!/usr/bin/env bash
# Ingest end to end beside LlamaIndex with the same embedder.
#
# usage: bench-ingest.sh [DOCUMENTS]

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

scripts/setup.sh bench
[ -x "$python" ] || python3 -m venv target/peers
# Without the package of readers, LlamaIndex reads Markdown as plain text, or not at all.
"$python" -c 'import llama_index.core, llama_index.readers.file, sentence_transformers, tokenizers' 2>/dev/null ||
    peer_pip install llama-index-core llama-index-readers-file sentence-transformers tokenizers

heading "Building Praxis"
cargo build --release --locked
target/release/praxis models pull all-minilm-l6-v2

heading "Ingest (about half an hour, most of it the peer's)"
measure scripts/bench/ingest.py "$@"
