#!/usr/bin/env bash
# Compiles the feature `cuda` (chat models on an NVIDIA GPU), on a machine with or without a GPU.
# Arguments go to `cargo check`; without any, the engine is checked: check-cuda.sh -p praxis
#
# Where `nvcc` is not on the path, NVIDIA's compiler and headers are fetched from the Python package
# index into target/cuda-toolkit (about 350 MB), which touches nothing else. That is enough to compile:
# a program that runs is linked with NVIDIA's libraries, of an installed CUDA toolkit.
# CUDA_COMPUTE_CAP is the GPU's generation, e.g. 80 or 90; default: this machine's, else 80.

source "$(dirname "$0")/lib/common.sh"

toolkit="${CARGO_TARGET_DIR:-$ROOT/target}/cuda-toolkit"
# The newest that candle's bindings know.
packages=(
    nvidia-cuda-nvcc==13.4.92
    nvidia-cuda-crt==13.4.92
    nvidia-nvvm==13.4.92
    nvidia-cuda-runtime==13.4.92
    nvidia-cuda-cccl==13.3.5.0.6
)

if ! has nvcc; then
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        fail "nvcc is not on the path: install the CUDA toolkit (fetching it is for Linux on x86-64)"
    if [ ! -e "$toolkit/complete" ]; then
        heading "Fetching NVIDIA's compiler"
        python3 -c 'import venv, ensurepip' 2>/dev/null ||
            fail "Python's venv is missing: install python3-venv, or the CUDA toolkit"
        rm -rf "$toolkit"
        python3 -m venv "$toolkit/venv"
        "$toolkit/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --only-binary :all: --target "$toolkit/packages" "${packages[@]}"
        chmod -R u+x "$toolkit"/packages/nvidia/cu13/{bin,nvvm/bin}
        touch "$toolkit/complete"
    fi
    export CUDA_HOME="$toolkit/packages/nvidia/cu13"
    export NVCC="$CUDA_HOME/bin/nvcc"
    export PATH="$CUDA_HOME/bin:$PATH"
fi
has nvidia-smi || export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"

[ $# -gt 0 ] || set -- -p praxis-engine
heading "cargo check --features cuda $*, with CUDA $(nvcc --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')"
cargo check --locked --features cuda "$@"
