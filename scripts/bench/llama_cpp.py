#!/usr/bin/env python3
"""Measures llama-cpp-python as crates/praxis-engine/examples/bench_chat.rs measures Praxis.

usage: llama_cpp.py MODEL.gguf [PROMPT_TOKENS [ANSWER_TOKENS [RUNS]]]

Prints one line of JSON: the same keys, the same prompt text, the same number of threads (the
processors that this process may use), the best of the runs.
"""

import json
import os
import sys
import time

# This script has the name of the package that it imports.
sys.path.pop(0)

from llama_cpp import Llama  # noqa: E402

TEXT = "The quick brown fox jumps over the lazy dog near the river bank. "


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    path = sys.argv[1]
    numbers = [int(a) for a in sys.argv[2:]]
    prompt_tokens, answer_tokens, runs = numbers + [512, 64, 3][len(numbers):]
    threads = len(os.sched_getaffinity(0))
    started = time.perf_counter()
    llama = Llama(
        path,
        n_ctx=prompt_tokens + answer_tokens + 8,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )
    load = time.perf_counter() - started
    prefill = decode = 0.0
    for salt in range(max(runs, 1)):
        text = f"Run {salt}. " + TEXT * (prompt_tokens // 10)
        tokens = llama.tokenize(text.encode(), add_bos=False)[:prompt_tokens]
        llama.reset()
        started = time.perf_counter()
        llama.eval(tokens)
        token = llama.sample(temp=1.0)
        first = time.perf_counter()
        for _ in range(answer_tokens - 1):
            llama.eval([token])
            token = llama.sample(temp=1.0)
        last = time.perf_counter()
        prefill = max(prefill, len(tokens) / (first - started))
        decode = max(decode, (answer_tokens - 1) / (last - first))
    print(
        json.dumps(
            {
                "engine": "llama.cpp",
                "model": os.path.basename(os.path.dirname(os.path.abspath(path))),
                "prefill_tokens": len(tokens),
                "prefill_tok_s": round(prefill, 1),
                "decode_tok_s": round(decode, 1),
                "load_s": round(load, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
