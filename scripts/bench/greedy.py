#!/usr/bin/env python3
"""How far greedy answers of Praxis and of llama.cpp agree.

usage: greedy.py MODEL.gguf ANSWERS.json

ANSWERS.json is what crates/praxis-engine/examples/greedy.rs prints. llama.cpp reads each prompt and the
answer of Praxis, and says before each token which one it would choose. Where that is another, the gap is
the difference of its two logits: near 0 the choice is a tie that the rounding of either side decides.
Prints one line of JSON.
"""

import json
import os
import sys

# A script beside this one has the name of the package.
sys.path.pop(0)

from llama_cpp import Llama  # noqa: E402


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model, path = sys.argv[1:]
    threads = len(os.sched_getaffinity(0))
    llama = Llama(
        model, n_ctx=1024, n_threads=threads, n_threads_batch=threads, logits_all=True, verbose=False
    )
    pieces = {llama.detokenize([token], special=True): token for token in reversed(range(llama.n_vocab()))}
    alike, positions, gaps = 0, 0, []
    answers = json.load(open(path))["answers"]
    for answer in answers:
        tokens = [pieces[bytes(piece)] for piece in answer["answer"]]
        llama.reset()
        llama.eval(answer["prompt"] + tokens)
        first = len(answer["prompt"]) - 1
        differences = []
        for position, token in enumerate(tokens):
            scores = llama.scores[first + position]
            if scores.argmax() != token:
                differences.append(float(scores.max() - scores[token]))
        positions += len(tokens)
        alike += not differences
        gaps += differences
    gaps.sort()
    print(
        json.dumps(
            {
                "prompts": len(answers),
                "alike": alike,
                "tokens": positions,
                "differ": len(gaps),
                "largest_gap": round(gaps[-1], 3) if gaps else 0.0,
                "median_gap": round(gaps[len(gaps) // 2], 3) if gaps else 0.0,
            }
        )
    )


if __name__ == "__main__":
    main()
