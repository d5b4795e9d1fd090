#!/usr/bin/env bash
# Installs what a bare Debian or Ubuntu machine lacks: setup.sh build|test|ocr|bench
#
# As root, or where sudo needs no password, it installs; otherwise it prints the one line to run.
# It says what it does, does nothing twice, and is done in a moment where all is there.

source "$(dirname "$0")/lib/common.sh"

purpose="${1:-build}"
packages=()

# The headers of the Python that is used: some packages come as source only, hnswlib among them.
has_python_headers() {
    python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' 2>/dev/null
}

# Ubuntu calls Chromium otherwise than Debian.
browser_package() {
    if grep -qs '^ID=ubuntu$' /etc/os-release; then echo chromium-browser; else echo chromium; fi
}

has cc && has c++ && has make || packages+=(build-essential)
has curl || packages+=(curl)
has pkg-config || packages+=(pkg-config)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
case "$purpose" in
    build) ;;
    test)
        python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
        has node && has npm || packages+=(nodejs npm)
        [ -n "$(browser)" ] || packages+=("$(browser_package)")
        ;;
    ocr)
        # Tesseract lists its languages on one line each; a missing program knows none.
        languages="$(tesseract --list-langs 2>&1 || true)"
        has tesseract || packages+=(tesseract-ocr)
        for language in eng chi_sim osd; do
            grep -qx "$language" <<<"$languages" || packages+=("tesseract-ocr-${language//_/-}")
        done
        ;;
    bench)
        python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
        has_python_headers || packages+=(python3-dev)
        ;;
    *) fail "usage: setup.sh build|test|ocr|bench" ;;
esac

if [ ${#packages[@]} -gt 0 ]; then
    has apt-get || fail "please install with your package manager: ${packages[*]}"
    if [ "$(id -u)" = 0 ]; then
        sudo=()
    elif has sudo && sudo -n true 2>/dev/null; then
        sudo=(sudo -n)
    else
        fail "some packages are missing; please run, then start again:" \
            "sudo apt-get update && sudo apt-get install -y ${packages[*]}"
    fi
    heading "Installing ${packages[*]}"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# Rust: the version that Cargo.toml asks for, or later.
needed="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
rust_is_recent() {
    local version
    version="$(rustc --version 2>/dev/null | cut -d' ' -f2)" || return 1
    [ -n "$version" ] && printf '%s\n%s\n' "$needed" "$version" | sort -C -V
}
if ! rust_is_recent; then
    if has rustup; then
        heading "Updating Rust to the stable release ($needed or later is needed)"
        rustup toolchain install stable --profile minimal
        rustup default stable
    else
        heading "Installing Rust with rustup ($needed or later is needed)"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --profile minimal --default-toolchain stable --no-modify-path
    fi
    rust_is_recent || fail "Rust $needed or later is needed, and $(rustc --version) comes first on the path"
fi

if [ "$purpose" = test ] || [ "$purpose" = ocr ]; then
    missing=()
    # Rustup puts their names on the path also where they are not installed.
    cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
    clippy-driver --version >/dev/null 2>&1 || missing+=(clippy)
    if [ ${#missing[@]} -gt 0 ]; then
        has rustup || fail "please install with your package manager: ${missing[*]}"
        heading "Installing ${missing[*]}"
        rustup component add "${missing[@]}"
    fi
    if ! has cargo-nextest; then
        heading "Installing cargo-nextest (a few minutes, once)"
        cargo install --locked cargo-nextest
    fi
fi
