#!/usr/bin/env bash
# Praxis and other programs that speak OpenAI's API: litellm asks Praxis, and Praxis asks llama-cpp-python's server. The
# first run builds llama.cpp, which takes some minutes.
#
# PRAXIS_BIN is the binary; without it, the debug build is made and used.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh
source scripts/lib/litellm.sh

scripts/setup.sh bench
install_interchange

if [ -z "${PRAXIS_BIN:-}" ]; then
    heading "Building Praxis"
    cargo build --locked
    export PRAXIS_BIN="$ROOT/target/debug/praxis"
fi
"$PRAXIS_BIN" models pull smollm2-135m-instruct all-minilm-l6-v2

heading "Interchange"
"$interchange" crates/praxis-api/tests/sdk/test_interchange.py
