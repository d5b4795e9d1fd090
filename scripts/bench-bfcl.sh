#!/usr/bin/env bash
# Function calling of the default model beside llama.cpp's server, on the questions of the Berkeley Function Calling
# Leaderboard: bench-bfcl.sh [--limit N] [--categories LIST] [--concurrency N] [--only praxis|llama.cpp].
# What is answered is kept in target/bfcl, so a run that was stopped goes on.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

bfcl_version=2026.3.23

scripts/setup.sh bench
[ -x "$python" ] || python3 -m venv target/peers
if ! "$python" -c 'import jsonschema' 2>/dev/null; then
    peer_pip install jsonschema
fi
# Its data and its checker only: what it needs to ask each provider is gigabytes.
if ! "$python" -c "import importlib.metadata as m; assert m.version('bfcl-eval') == '$bfcl_version'" 2>/dev/null; then
    peer_pip install --no-deps "bfcl-eval==$bfcl_version"
fi
# The build of the server needs CMake.
[ -x target/peers/bin/cmake ] || peer_pip install cmake
build_llama_server

heading "Building Praxis"
cargo build --release --locked

heading "Model"
target/release/praxis models pull qwen2.5-coder-1.5b-instruct

heading "Asking (about two hours on four cores; what is done is kept in target/bfcl)"
measure scripts/bench/bfcl.py "$llama_server" "$@"
