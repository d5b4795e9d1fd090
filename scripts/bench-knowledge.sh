#!/usr/bin/env bash
# All of knowledge, measured beside its peers in one go: quality of retrieval and of chunks, vectors, ingest, a
# million chunks, kills and full disks. Hours on two cores; each part is a command of its own too.
#
# usage: bench-knowledge.sh [VECTORS [CHUNKS [ROUNDS]]]     (default: 1,000,000, 1,000,000 and 200)

source "$(dirname "$0")/lib/common.sh"

scripts/bench-quality.sh retrieval
scripts/bench-quality.sh chunking
scripts/bench-ingest.sh
scripts/bench-vectors.sh "${1:-1000000}"
heading "A large base"
target/peers/bin/python scripts/bench/scale.py "${2:-1000000}"
heading "Kills and full disks"
target/peers/bin/python scripts/bench/faults.py "${3:-200}"
target/peers/bin/python scripts/bench/full.py
