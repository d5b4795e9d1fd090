#!/usr/bin/env python3
"""Embeddings of many passages of mixed length beside sentence-transformers and onnxruntime, as a Markdown
table. `make bench-engine` runs it.

usage: embeddings.py [COUNT]     (default: 10,000 passages)

Passages are pieces of real abstracts, from 8 to 500 tokens, each length as likely; without ../shared they
are made of common words. All engines read the same file with all-MiniLM-L6-v2, cut at 512 tokens, and may
order the passages as they like: the peers sort them by length and compute 32 a batch. One pass each, one
after the other. How near the vectors are to those of sentence-transformers is said too.
"""

import array
import json
import math
import os
import random
import sys
import tempfile
from pathlib import Path

from quality import DATA
from run import RELEASE, SCRIPTS, WORDS, measure, model_path, processor

MODEL, LIMIT = "all-minilm-l6-v2", 512
SOURCE = DATA / "cranfield-docs.jsonl"
# Words of a passage: about 1.3 tokens each.
SHORTEST, LONGEST = 6, 380


def passages(count: int) -> list[str]:
    dice = random.Random(11)
    if SOURCE.exists():
        lines = SOURCE.read_text(encoding="utf-8").splitlines()
        words = [word for line in lines for word in json.loads(line)["text"].split()]
    else:
        words = dice.choices(WORDS, k=100_000)
    made = []
    for _ in range(count):
        length = dice.randint(SHORTEST, LONGEST)
        start = dice.randrange(len(words) - length)
        made.append(" ".join(words[start : start + length]))
    return made


def cosines(ours: Path, theirs: Path, count: int) -> list[float]:
    """Of vectors of length 1, the lowest first."""
    a, b = (array.array("f", path.read_bytes()) for path in (ours, theirs))
    size = len(a) // count
    pairs = (range(at, at + size) for at in range(0, len(a), size))
    return sorted(math.fsum(a[i] * b[i] for i in pair) for pair in pairs)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    path, python = model_path(MODEL), sys.executable
    with tempfile.TemporaryDirectory() as folder:
        texts, ours_out, theirs_out = (Path(folder) / name for name in ("texts.json", "ours", "theirs"))
        texts.write_text(json.dumps(passages(count)))
        ours = measure(RELEASE / "examples/bench_embed", path, texts, 1, LIMIT, ours_out)
        peers = [
            measure(python, SCRIPTS / "sentence_transformers.py", path, texts, 1, LIMIT, theirs_out),
            measure(python, SCRIPTS / "onnx_runtime.py", path, texts, 1, LIMIT),
            measure(python, SCRIPTS / "onnx_runtime.py", path, texts, 1, LIMIT, "int8"),
        ]
        near = cosines(ours_out, theirs_out, count)
    threads = len(os.sched_getaffinity(0))
    print(f"\n{processor()}, {threads} threads; {count} passages, {ours['tokens']} tokens, {MODEL}\n")
    print("| | passages/s | tokens/s | Praxis is faster by |\n| --- | ---: | ---: | ---: |")
    for result in [ours, *peers]:
        tokens = ours["tokens"] / result["seconds"]
        ratio = result["seconds"] / ours["seconds"]
        print(f"| {result['engine']} | {result['per_s']:.1f} | {tokens:.0f} | {ratio:.2f} |")
    print(f"\ncosine with sentence-transformers: {sum(near) / count:.5f} in the mean, {near[0]:.5f} at least")


if __name__ == "__main__":
    main()
