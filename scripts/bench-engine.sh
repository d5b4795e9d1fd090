#!/usr/bin/env bash
# The chat engine beside llama.cpp and its server on this machine, and embeddings beside
# sentence-transformers and onnxruntime, in one run: speed of long and short prompts, of many requests at a
# time, answers beside a long prompt, time to the first token of a new process, memory, adapters,
# perplexity, and 10,000 passages.

source "$(dirname "$0")/lib/common.sh"
source scripts/lib/peers.sh

scripts/setup.sh bench
build_peers
build_llama_server
install_onnx_runtime

release_build bench_chat bench_adapters perplexity greedy bench_embed

heading "Models"
target/release/praxis models pull smollm2-135m-instruct qwen2.5-coder-1.5b-instruct all-minilm-l6-v2

heading "Measuring (about 40 minutes; the machine should do nothing else)"
measure scripts/bench/engine.py "$llama_server"
measure scripts/bench/embeddings.py
