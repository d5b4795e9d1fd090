# What the scripts share: where the repository is, headings, and cargo on the path.
# Sourced by bash scripts; prints nothing by itself.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$ROOT"
export PATH="$HOME/.cargo/bin:$PATH"

if [ -t 1 ]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' RESET=$'\e[0m'
else
    BOLD='' DIM='' RED='' RESET=''
fi

# has COMMAND: it is on the path.
has() { command -v "$1" >/dev/null 2>&1; }

# Prints the path of a Chrome-like browser on this machine, or nothing. PRAXIS_CHROMIUM overrides.
browser() {
    local name
    for name in "${PRAXIS_CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$name" ] && has "$name"; then
            command -v "$name"
            return
        fi
    done
}

# heading TEXT: announces a step.
heading() {
    printf '%s== %s%s\n' "$BOLD" "$1" "$RESET"
}

# fail TEXT...: ends the script with an error.
fail() {
    printf '%serror%s: %s\n' "$RED" "$RESET" "$*" >&2
    exit 1
}

# release_build EXAMPLE...: the release build with the examples named. One call for all of them, of the
# whole workspace: where the features of a dependency differ, cargo builds it and what needs it again.
release_build() {
    heading "Building Praxis"
    cargo build --release --locked --workspace --bins "${@/#/--example=}"
}
