# litellm, which asks Praxis as a client and is measured beside it as a gateway, and llama-cpp-python's server, which
# Praxis asks. In environments of their own, since they want other versions of the same packages. Sourced by scripts,
# after peers.sh.

# The last release whose proxy can be installed from the index.
litellm_version=1.108.0
interchange=target/interchange/bin/python
gateway_peer=target/gateway-litellm/bin/python

# pip_of PYTHON ARGUMENT...: installs into that environment, which is made where it is missing.
pip_of() {
    local of="$1"
    shift
    [ -x "$of" ] || python3 -m venv "$(dirname "$(dirname "$of")")"
    "$of" -m pip install --quiet --disable-pip-version-check "$@"
}

# has_packages PYTHON NAME==VERSION...: just these are installed.
has_packages() {
    local of="$1"
    shift
    "$of" - "$@" 2>/dev/null <<'EOF'
import sys
from importlib.metadata import version
sys.exit(any(version(name) != wanted for name, wanted in (argument.split("==") for argument in sys.argv[1:])))
EOF
}

# litellm, OpenAI's SDK, and llama-cpp-python with its server. Building llama.cpp takes some minutes, once.
install_interchange() {
    has_packages "$interchange" "litellm==$litellm_version" "llama-cpp-python==$llama_version" && return
    heading "Installing litellm and llama-cpp-python (minutes, once)"
    # Without mcp, this litellm cannot ask with tools.
    pip_of "$interchange" cmake "litellm==$litellm_version" mcp openai
    CMAKE_ARGS="$llama_flags" pip_of "$interchange" --no-binary llama-cpp-python \
        "llama-cpp-python[server]==$llama_version"
}

# litellm's proxy.
install_litellm_proxy() {
    has_packages "$gateway_peer" "litellm==$litellm_version" && [ -x "$(dirname "$gateway_peer")/litellm" ] && return
    heading "Installing litellm's proxy"
    pip_of "$gateway_peer" "litellm[proxy]==$litellm_version"
}
