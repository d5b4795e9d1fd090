#!/usr/bin/env bash
# The whole test suite, as CI runs it: format, lints, repository checks, tests, and the real binary
# driven by the official SDKs and by a browser. With PRAXIS_TEST_OCR=1 also what the feature `ocr` adds, which is
# built anew for it.

source "$(dirname "$0")/lib/common.sh"

export PRAXIS_BIN="$ROOT/target/debug/praxis"
summary=()
current=''
trap '[ $? = 0 ] || printf "%serror%s: %s failed\n" "$RED" "$RESET" "$current" >&2' EXIT

# step NAME COMMAND...: runs it under a heading and notes how long it took. The first failure ends
# the script; the command must not be called as a condition, or errors inside of it go unseen.
step() {
    local started=$SECONDS
    current="$1"
    shift
    heading "$current"
    "$@"
    summary+=("$(printf '%4d s  %s' $((SECONDS - started)) "$current")")
}

# Features of dependencies must be the same in all steps, or cargo builds them again: so everything
# is built for the whole workspace, and later steps use what has been built. Clippy compiles it, in
# place of the compiler that it contains: `cargo clippy` would check all dependencies once more.
export RUSTC_WORKSPACE_WRAPPER=clippy-driver
export CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__

build() {
    cargo build --locked --workspace --all-targets
}

sdk() {
    local python=target/test-venv/bin/python script
    [ -x "$python" ] || python3 -m venv target/test-venv
    "$python" -m pip install --quiet --disable-pip-version-check openai jsonschema pyyaml mcp
    for script in crates/praxis-api/tests/sdk/test_*.py; do
        "$python" "$script"
    done
}

examples() {
    local example
    for example in examples/*/; do
        "$PRAXIS_BIN" check --app "$example"
    done
}

# node_tests FOLDER: what they need is installed once, and again when the lock file changes.
node_tests() {
    cd "$1"
    [ node_modules/.package-lock.json -nt package-lock.json ] ||
        npm ci --silent --no-audit --no-fund --prefer-offline
    PRAXIS_CHROMIUM="$(browser)" npm test --silent
    cd "$ROOT"
}

step "Setup" scripts/setup.sh test
step "Format" cargo fmt --check
step "Build and lints" build
step "Models" "$PRAXIS_BIN" models pull smollm2-135m-instruct all-minilm-l6-v2 multilingual-e5-small
step "Repository" target/debug/xtask tidy --praxis "$PRAXIS_BIN"
step "Examples" examples
step "Tests" cargo nextest run --locked --workspace
step "Documentation tests" cargo test --locked --workspace --doc --quiet
step "OpenAI SDK for Python against the real binary" sdk
step "OpenAI SDK for Node against the real binary" node_tests crates/praxis-api/tests/sdk/node
step "Browser against the real binary" node_tests crates/praxis-console/tests/browser
[ -z "${PRAXIS_TEST_OCR:-}" ] || step "Text of scans" scripts/test-ocr.sh

heading "All passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '%s\n' "${summary[@]}"
