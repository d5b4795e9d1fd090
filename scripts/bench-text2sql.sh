#!/usr/bin/env bash
# Asking databases in words, measured: bench-text2sql.sh verify | accuracy [OPTIONS] | hostile [OPTIONS].
#
# verify    runs the benchmark's own queries on SQLite, PostgreSQL and MariaDB and compares their rows (half a minute)
# accuracy  asks all questions of Qwen 1.5B, step by step; DIALECTS=sqlite,postgres,mysql (default: sqlite). Hours for
#           all; it goes on where it was stopped, from target/text2sql/results.jsonl
# hostile   asks for what nobody may do and looks whether anything but SELECT was done
#
# OPTIONS are those of scripts/bench/text2sql/bench.py, such as --variants plain,vote --limit 20.

source "$(dirname "$0")/lib/common.sh"

what="${1:-}"
case "$what" in
    verify | accuracy | hostile) shift ;;
    *) fail "usage: bench-text2sql.sh verify|accuracy|hostile [OPTIONS]" ;;
esac

if [ "$what" = verify ]; then
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    python3 scripts/bench/text2sql/verify.py "$folder"
    exit
fi

heading "Building Praxis"
cargo build --release --locked
praxis="$PWD/target/release/praxis"

heading "Models"
"$praxis" models pull qwen2.5-coder-1.5b-instruct multilingual-e5-small

heading "Measuring"
dialects="${DIALECTS:-sqlite}"
if [ "$what" = hostile ]; then
    exec python3 scripts/bench/text2sql/bench.py --dialects "$dialects" --hostile "$@"
fi
exec python3 scripts/bench/text2sql/bench.py --dialects "$dialects" "$@"
