#!/usr/bin/env bash
# Retrieval quality of the release binary beside a plain BM25, in one run: bench-retrieval.sh [CORPUS...]
# The data is ../shared/data, which is not part of this repository.

source "$(dirname "$0")/lib/common.sh"

scripts/setup.sh bench

python=target/peers/bin/python
if ! "$python" -c 'import bm25s, jieba, Stemmer' 2>/dev/null; then
    heading "Installing the peers"
    [ -x "$python" ] || python3 -m venv target/peers
    "$python" -m pip install --quiet --disable-pip-version-check bm25s PyStemmer jieba
fi

heading "Building Praxis"
cargo build --release --locked

heading "Models"
target/release/praxis models pull multilingual-e5-small

heading "Measuring (some minutes)"
"$python" scripts/bench/retrieval.py "$@"
