#!/usr/bin/env bash
# Praxis beside llama.cpp and sentence-transformers on this machine, in one run.
# The peers live in target/peers; building llama.cpp takes some minutes, once.

source "$(dirname "$0")/lib/common.sh"

scripts/setup.sh bench

python=target/peers/bin/python
# llama.cpp is built for this processor, as Praxis picks its kernels for it. Its AMX code crashes
# in this release, so a processor with AMX gets all of AVX-512 spelt out instead.
if grep -qw amx_int8 /proc/cpuinfo; then
    flags="-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON"
    flags+=" -DGGML_AVX512_BF16=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
else
    flags="-DGGML_NATIVE=ON"
fi
if ! "$python" -c 'import llama_cpp, sentence_transformers' 2>/dev/null; then
    heading "Building the peers (minutes, once)"
    [ -x "$python" ] || python3 -m venv target/peers
    "$python" -m pip install --quiet --disable-pip-version-check cmake sentence-transformers
    CMAKE_ARGS="$flags" "$python" -m pip install --quiet --disable-pip-version-check \
        --no-binary llama-cpp-python llama-cpp-python==0.3.36
fi

heading "Building Praxis"
cargo build --release --locked
cargo build --release --locked -p praxis-engine --examples

heading "Models"
target/release/praxis models pull \
    smollm2-135m-instruct qwen2.5-coder-1.5b-instruct all-minilm-l6-v2 multilingual-e5-small

heading "Measuring (some minutes; the machine should do nothing else)"
# Threads and kernels are the library's choice, not a leftover of the shell's environment.
env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE -u OMP_NUM_THREADS -u RAYON_NUM_THREADS \
    "$python" scripts/bench/run.py "$@"
