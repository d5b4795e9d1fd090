#!/usr/bin/env bash
# What functions do with small models, measured: bench-functions.sh structured [CALLS [CALLS]] |
# reasoning [PROBLEMS]. The problems are ../shared/data/gsm8k-200.jsonl, which is not part of this repository.

source "$(dirname "$0")/lib/common.sh"

what="${1:-}"
case "$what" in
    structured | reasoning) shift ;;
    *) fail "usage: bench-functions.sh structured|reasoning" ;;
esac

scripts/setup.sh bench
heading "Building Praxis"
cargo build --release --locked
praxis="$PWD/target/release/praxis"

heading "Models"
"$praxis" models pull smollm2-135m-instruct qwen2.5-coder-1.5b-instruct multilingual-e5-small

if [ "$what" = structured ]; then
    python=target/peers/bin/python
    [ -x "$python" ] || python3 -m venv target/peers
    if ! "$python" -c 'import jsonschema, yaml' 2>/dev/null; then
        "$python" -m pip install --quiet --disable-pip-version-check jsonschema pyyaml
    fi
    heading "Measuring (some minutes)"
    exec "$python" scripts/bench/structured.py "$@"
fi

problems=../shared/data/gsm8k-200.jsonl
[ -e "$problems" ] || fail "$problems is not on this machine"
heading "Measuring (about an hour; what is done is kept in target/reasoning.jsonl)"
"$praxis" --app examples/reasoning prompts try solve --data "$problems" --check number \
    --compare base,few,steps,cot,sc5,ltm --limit "${1:-200}" --concurrency "${CONCURRENCY:-8}" \
    --out target/reasoning.jsonl
# Calls that run beside each other say nothing of the time that one takes, so that is measured apart: one
# call after the other.
heading "Five samples beside one, one call at a time"
rm -f target/reasoning-times.jsonl
"$praxis" --app examples/reasoning prompts try solve --data "$problems" --check number \
    --compare cot,sc5 --limit "${TIMED:-10}" --concurrency 1 --out target/reasoning-times.jsonl
