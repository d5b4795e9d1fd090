#!/usr/bin/env bash
# Praxis and a service of others by its OpenAPI document: changedetection.io, which watches web pages. Once it is
# installed (200 MB), nothing but this machine is asked.
#
# PRAXIS_BIN is the binary; without it, the debug build is made and used. What is installed lies in target/openapi.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/litellm.sh

place="$ROOT/target/openapi"
python="$place/python/bin/python"
wanted=scripts/lib/changedetection.txt

scripts/setup.sh bench
if ! cmp -s "$wanted" "$place/installed"; then
    heading "Installing changedetection.io"
    pip_of "$python" --no-deps --requirement "$wanted"
    cp "$wanted" "$place/installed"
fi

if [ -z "${PRAXIS_BIN:-}" ]; then
    heading "Building Praxis"
    cargo build --locked
    export PRAXIS_BIN="$ROOT/target/debug/praxis"
fi

heading "A service of others as tools"
OPENAPI_SERVICE="$place/python/bin/changedetection.io" \
    "$python" -W ignore crates/praxis-api/tests/sdk/test_openapi_tools.py
