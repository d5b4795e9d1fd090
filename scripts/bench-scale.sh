#!/usr/bin/env bash
# Searches of a base of a million chunks: time and memory.
#
# usage: bench-scale.sh [CHUNKS [QUESTIONS]]

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

scripts/setup.sh bench
[ -x "$python" ] || python3 -m venv target/peers
"$python" -c 'import numpy' 2>/dev/null || peer_pip install numpy

heading "Building Praxis"
cargo build --release --locked
target/release/praxis models pull all-minilm-l6-v2

heading "A large base (about an hour; the machine should do nothing else)"
measure scripts/bench/scale.py "$@"
