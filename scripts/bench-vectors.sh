#!/usr/bin/env bash
# The vector index beside hnswlib, faiss, usearch, hannoy and diskann on this machine.
#
# usage: bench-vectors.sh [COUNT [ENGINE...]]     (default: 200,000 vectors, all engines)
#
# On two cores 200,000 vectors take more than an hour, a million more than six: most of it goes to building the peers'
# graphs.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

count=${1:-200000}
shift || true

scripts/setup.sh bench
install_vector_peers
build_vector_peers

release_build bench_embed bench_vectors
target/release/praxis models pull all-minilm-l6-v2

heading "Crates that each brings, itself included"
printf '%-16s %s\n' \
    praxis-vectors "$(count_crates --locked -p praxis-vectors)" \
    hannoy "$(count_crates --manifest-path "$vector_peers/Cargo.toml" -p hannoy)" \
    diskann-inmem "$(count_crates --manifest-path "$vector_peers/Cargo.toml" -p diskann-inmem)"

heading "Vectors"
"$python" scripts/bench/vectors_data.py "$count" target/vectors

heading "Measuring (the machine should do nothing else)"
failed=()
for set in text mixture; do
    # Without ../shared there is one set only.
    [ -e "target/vectors/$set.$count.npy" ] || continue
    measure scripts/bench/vectors.py target/vectors "$set" "$count" "$@" || failed+=("$set")
done
[ ${#failed[@]} = 0 ] || fail "not all engines were measured on: ${failed[*]}"
