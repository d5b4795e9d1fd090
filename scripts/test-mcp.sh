#!/usr/bin/env bash
# Praxis and the Model Context Protocol: the conformance suite for servers and for clients, the official Python SDK as a
# client of `praxis serve` and `praxis mcp`, and servers of others used by Praxis.
#
# PRAXIS_BIN is the binary; without it, the debug build is made and used. What is installed lies in target/mcp.
# PART=server|client|sdk runs one part.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/litellm.sh

# The suite by its requirements of two revisions, and as it was last released.
suite_version=0.2.0-alpha.12
released_version=0.1.16
revisions=(2025-11-25 2026-07-28)
servers_version=2026.8.31
sdk_version=2.3.0

place="$ROOT/target/mcp"
python="$place/python/bin/python"
part="${PART:-all}"

scripts/setup.sh test
mkdir -p "$place"

# npm_of FOLDER PACKAGE@VERSION...: installs into that folder, unless it is done.
npm_of() {
    local into="$place/$1" wanted="${*:2}"
    [ "$(cat "$into/installed" 2>/dev/null)" = "$wanted" ] && return
    heading "Installing $wanted"
    mkdir -p "$into"
    npm install --prefix "$into" --no-audit --no-fund --silent "${@:2}"
    printf '%s\n' "$wanted" >"$into/installed"
}

# The suite needs Node 22; an older one fetches it.
node="$(command -v node)"
if [ "$("$node" -p 'Number(process.versions.node.split(".")[0]) >= 22')" != true ]; then
    kind="node-$("$node" -p 'process.platform + "-" + process.arch')"
    npm_of node "$kind@22"
    node="$place/node/node_modules/$kind/bin/node"
fi

if [ -z "${PRAXIS_BIN:-}" ]; then
    heading "Building Praxis"
    cargo build --locked
    export PRAXIS_BIN="$ROOT/target/debug/praxis"
fi

# suite VERSION ARGUMENT...: runs the conformance suite.
suite() {
    npm_of "suite-$1" "@modelcontextprotocol/conformance@$1"
    (
        cd "$place"
        PATH="$(dirname "$node"):$PATH" "$node" \
            "$place/suite-$1/node_modules/@modelcontextprotocol/conformance/dist/index.js" "${@:2}"
    )
}

# The parts of our server with the fixtures that the suite asks for.
conformance_server() {
    # All of it, as `make test` builds it: features of dependencies stay the same.
    cargo build --locked --workspace --all-targets
    PORT=0 "$ROOT/target/debug/examples/mcp_conformance" 2>"$place/server.log" &
    server=$!
    trap 'kill "$server" 2>/dev/null || true' EXIT
    local _
    for _ in $(seq 100); do
        url="$(grep -m 1 '^http' "$place/server.log" || true)"
        [ -n "$url" ] && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$place/server.log" >&2
    fail "the server of the suite did not start"
}

if [ "$part" = all ] || [ "$part" = server ]; then
    heading "Building the server of the suite"
    conformance_server
    for revision in "${revisions[@]}"; do
        heading "Conformance of the server, $revision"
        suite "$suite_version" server --url "$url" --requirements "$revision"
    done
    heading "Conformance of the server, suite $released_version"
    suite "$released_version" server --url "$url"
    kill "$server"
    trap - EXIT
fi

if [ "$part" = all ] || [ "$part" = client ]; then
    command="python3 $ROOT/crates/praxis-api/tests/mcp/client.py"
    for revision in "${revisions[@]}"; do
        heading "Conformance of the client, $revision"
        suite "$suite_version" client --command "$command" --requirements "$revision"
    done
fi

if [ "$part" = all ] || [ "$part" = sdk ]; then
    npm_of servers "@modelcontextprotocol/server-everything@$servers_version" \
        "@modelcontextprotocol/server-filesystem@$servers_version"
    if ! has_packages "$python" "mcp==$sdk_version"; then
        heading "Installing the Python SDK"
        pip_of "$python" "mcp==$sdk_version"
    fi
    heading "The Python SDK, and servers of others"
    MCP_SERVERS="$place/servers" MCP_NODE="$node" \
        "$python" -W ignore crates/praxis-api/tests/sdk/test_mcp.py
fi
