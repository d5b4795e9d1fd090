#!/usr/bin/env bash
# The tests of recognized text (feature `ocr`): lints, then scans and pictures through Tesseract, which is installed
# where it is missing. Arguments go to nextest; the error rates are shown by: test-ocr.sh --no-capture scans_are_read

source "$(dirname "$0")/lib/common.sh"

scripts/setup.sh ocr
heading "Lints with the feature ocr"
cargo clippy --locked -p praxis-knowledge --features ocr --all-targets --quiet -- -D warnings
heading "Tests with the feature ocr"
[ $# -gt 0 ] || set -- load:: config:: ingest
cargo nextest run --locked -p praxis-knowledge --features ocr "$@"
