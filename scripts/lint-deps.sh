#!/usr/bin/env bash
# Licences, bans and sources of all dependencies (deny.toml), known vulnerabilities where the
# advisory database can be fetched, and spelling (typos.toml).

source "$(dirname "$0")/lib/common.sh"

if ! has cargo-deny; then
    heading "Installing cargo-deny (some minutes, once)"
    cargo install --locked cargo-deny
fi
heading "Licences, bans, sources"
cargo deny --locked --all-features check bans licenses sources

heading "Advisories"
if ! cargo deny --locked --all-features fetch db; then
    echo "the advisory database cannot be fetched from here: advisories are NOT checked"
else
    cargo deny --locked --all-features check advisories
fi

heading "Spelling"
if ! has typos; then
    [ -x target/lint-venv/bin/python ] || python3 -m venv target/lint-venv
    target/lint-venv/bin/python -m pip install --quiet --disable-pip-version-check typos
    PATH="$ROOT/target/lint-venv/bin:$PATH"
fi
typos
