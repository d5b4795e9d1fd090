#!/usr/bin/env bash
# What Praxis adds to a call of a model behind it, beside litellm's proxy on this machine: time, and memory over many
# calls; and whether one key that floods it is felt by another.
#
# usage: bench-gateway.sh [OPTION...]     (those of scripts/bench/gateway.py; --quick takes minutes and tells little)
#
# On two cores the whole takes about 80 minutes, 20 of them for the memory over a million calls.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh
source scripts/lib/litellm.sh

scripts/setup.sh bench
install_litellm_proxy

heading "Building the mock model and the load generator"
cargo build --release --quiet --manifest-path scripts/bench/gateway/Cargo.toml --target-dir target/gateway-bench

if [ -z "${PRAXIS_BIN:-}" ]; then
    heading "Building Praxis"
    cargo build --release --locked
fi

heading "Measuring (the machine should do nothing else)"
python3 scripts/bench/gateway.py --litellm "$(dirname "$gateway_peer")/litellm" "$@"
