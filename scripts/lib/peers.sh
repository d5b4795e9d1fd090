# The engines that Praxis is measured against, in target/peers. Building llama.cpp takes some
# minutes, once. Sourced by the benchmarks.

python=target/peers/bin/python
llama_version=0.3.36
vector_peers=scripts/bench/vector-peers

# llama.cpp is built for this processor, as Praxis picks its kernels for it. Its AMX code crashes in
# this release, so a processor with AMX gets all of AVX-512 spelt out instead.
if grep -qw amx_int8 /proc/cpuinfo; then
    llama_flags="-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON"
    llama_flags+=" -DGGML_AVX512_BF16=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
else
    llama_flags="-DGGML_NATIVE=ON"
fi

peer_pip() {
    "$python" -m pip "$1" --quiet --disable-pip-version-check "${@:2}"
}

# llama-cpp-python and sentence-transformers.
build_peers() {
    "$python" -c 'import llama_cpp, sentence_transformers' 2>/dev/null && return
    heading "Building the peers (minutes, once)"
    [ -x "$python" ] || python3 -m venv target/peers
    peer_pip install cmake sentence-transformers
    CMAKE_ARGS="$llama_flags" peer_pip install --no-binary llama-cpp-python \
        "llama-cpp-python==$llama_version"
}

# onnxruntime, and what exports models for it.
install_onnx_runtime() {
    "$python" -c 'import onnx, onnxruntime' 2>/dev/null && return
    heading "Installing onnxruntime"
    peer_pip install onnx onnxruntime
}

# The vector indexes. hnswlib is compiled here, for this processor: it comes as source only.
install_vector_peers() {
    "$python" -c 'import faiss, hnswlib, threadpoolctl, usearch' 2>/dev/null && return
    heading "Installing faiss, hnswlib and usearch"
    [ -x "$python" ] || python3 -m venv target/peers
    peer_pip install faiss-cpu hnswlib numpy threadpoolctl usearch
}

# The vector indexes that are crates, as target/vector-peers/release/peer. For this processor, as hnswlib.
build_vector_peers() {
    heading "Building hannoy and diskann (minutes, the first time)"
    RUSTFLAGS="-C target-cpu=native" cargo build --release --quiet \
        --manifest-path "$vector_peers/Cargo.toml" --target-dir target/vector-peers
}

# count_crates CARGO_ARGUMENT...: how many crates a package brings, itself included.
count_crates() {
    cargo tree "$@" --edges normal,build --prefix none --no-dedupe | sort -u | wc -l
}

# llama.cpp's own server, from the same sources; sets `llama_server`.
build_llama_server() {
    local sources="target/peers/src/llama_cpp_python-$llama_version"
    llama_server="$sources/vendor/llama.cpp/build/bin/llama-server"
    [ -x "$llama_server" ] && return
    heading "Building llama.cpp's server (minutes, once)"
    mkdir -p target/peers/src
    peer_pip download --no-deps --no-binary llama-cpp-python -d target/peers/src \
        "llama-cpp-python==$llama_version"
    tar -xzf "target/peers/src/llama_cpp_python-$llama_version.tar.gz" -C target/peers/src
    # shellcheck disable=SC2086 # flags are words
    target/peers/bin/cmake -S "$sources/vendor/llama.cpp" -B "$sources/vendor/llama.cpp/build" \
        -DCMAKE_BUILD_TYPE=Release -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF $llama_flags >target/peers/server.log 2>&1
    target/peers/bin/cmake --build "$sources/vendor/llama.cpp/build" --target llama-server -j "$(nproc)" \
        >>target/peers/server.log 2>&1
}

# Threads and kernels are the library's choice, not a leftover of the shell's environment.
measure() {
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE -u OMP_NUM_THREADS -u RAYON_NUM_THREADS \
        "$python" "$@"
}
