#!/usr/bin/env python3
"""Perplexity of llama.cpp on a text, as crates/praxis-engine/examples/perplexity.rs computes it.

usage: perplexity.py MODEL.gguf TEXT.txt TOKENS.json MAX_TOKENS

Writes the tokens of the text to TOKENS.json, for Praxis to read the same, and prints one line of JSON.
"""

import json
import sys

# A script beside this one has the name of the package.
sys.path.pop(0)

import numpy  # noqa: E402
from llama_cpp import Llama  # noqa: E402

WINDOW = 512


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    model, text, tokens_file, most = sys.argv[1:]
    llama = Llama(model, n_ctx=WINDOW, n_batch=WINDOW, logits_all=True, verbose=False)
    tokens = llama.tokenize(open(text, "rb").read(), add_bos=False)[: int(most)]
    json.dump(tokens, open(tokens_file, "w"))
    total, count = 0.0, 0
    for start in range(0, len(tokens) - WINDOW + 1, WINDOW):
        window = tokens[start : start + WINDOW]
        llama.reset()
        llama.eval(window[:-1])
        rows = llama.scores[WINDOW // 2 - 1 : WINDOW - 1].astype(numpy.float64)
        rows -= rows.max(axis=1, keepdims=True)
        following = window[WINDOW // 2 :]
        losses = numpy.log(numpy.exp(rows).sum(axis=1)) - rows[numpy.arange(len(rows)), following]
        total, count = total + losses.sum(), count + len(rows)
    perplexity = float(numpy.exp(total / max(count, 1)))
    print(json.dumps({"engine": "llama.cpp", "tokens": count, "perplexity": perplexity}))


if __name__ == "__main__":
    main()
