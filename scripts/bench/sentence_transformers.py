"""Embedding speed of sentence-transformers, the counterpart of `bench_embed`.

usage: sentence_transformers.py FOLDER TEXTS [ROUNDS [MAX_TOKENS [VECTORS]]]

FOLDER holds `model.safetensors`, `tokenizer.json` and `config.json`; TEXTS is a JSON array of
strings. Texts are embedded 32 a batch in one `encode` call, which sorts them by length: the peer
at its best. Prints one JSON line for the best round.
"""

import json
import pathlib
import sys
import time

# A script's own folder comes first in the module path, and this file is named after the package.
HERE = pathlib.Path(__file__).resolve().parent
sys.path = [entry for entry in sys.path if pathlib.Path(entry).resolve() != HERE]

from sentence_transformers import SentenceTransformer, models


def load(folder, limit):
    word = models.Transformer(folder, max_seq_length=limit)
    pooling = models.Pooling(384, pooling_mode="mean")
    return SentenceTransformer(modules=[word, pooling, models.Normalize()], device="cpu")


def main():
    folder, texts = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 256
    model = load(folder, limit)
    tokens = sum(min(len(model.tokenizer(text)["input_ids"]), limit) for text in texts)
    model.encode(texts[:32], batch_size=32)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        vectors = model.encode(texts, batch_size=32, show_progress_bar=False)
        best = min(best, time.perf_counter() - start)
    if len(sys.argv) > 5:
        vectors.astype("float32").tofile(sys.argv[5])
    line = {
        "engine": "sentence-transformers",
        "model": pathlib.Path(folder).name,
        "texts": len(texts),
        "tokens": tokens,
        "seconds": best,
        "per_s": len(texts) / best,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
