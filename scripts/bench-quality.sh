#!/usr/bin/env bash
# Quality of the release binary, measured:
#   bench-quality.sh retrieval [CORPUS...] | search [--questions N] [CORPUS...] | chunking | answers [QUESTIONS]
# Retrieval is compared with a plain BM25, LlamaIndex and LangChain in the same run; "search" measures what models
# add to a search: reranking, other wordings, imagined answers. The data is ../shared/data, which is not part of
# this repository.

source "$(dirname "$0")/lib/common.sh"

what="${1:-}"
case "$what" in
    retrieval | chunking) models=(multilingual-e5-small) ;;
    answers | search) models=(multilingual-e5-small qwen2.5-coder-1.5b-instruct) ;;
    *) fail "usage: bench-quality.sh retrieval|search|chunking|answers" ;;
esac
shift
if [ "$what" = search ]; then
    what=retrieval
    set -- --search "$@"
fi

scripts/setup.sh bench

python=target/peers/bin/python
[ -x "$python" ] || python3 -m venv target/peers
peers=(bm25s PyStemmer jieba numpy tiktoken llama-index-core langchain-core langchain-text-splitters)
imports='import bm25s, jieba, Stemmer, numpy, tiktoken, llama_index.core, langchain_core, langchain_text_splitters'
if [ "$what" != answers ] && ! "$python" -c "$imports" 2>/dev/null; then
    heading "Installing the peers"
    "$python" -m pip install --quiet --disable-pip-version-check "${peers[@]}"
fi

heading "Building Praxis"
cargo build --release --locked

heading "Models"
target/release/praxis models pull "${models[@]}"

case "$what" in
    retrieval) heading "Measuring (about half an hour; with --search hours)" ;;
    *) heading "Measuring (some minutes)" ;;
esac
"$python" "scripts/bench/$what.py" "$@"
