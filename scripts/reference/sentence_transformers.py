"""Writes the reference vectors of `crates/praxis-engine/tests/fixtures/minilm.json`.

usage: sentence_transformers.py FOLDER > minilm.json

FOLDER holds all-MiniLM-L6-v2: `model.safetensors`, `tokenizer.json` and `config.json`.
"""

import json
import pathlib
import sys

# A script's own folder comes first in the module path, and this file is named after the package.
HERE = pathlib.Path(__file__).resolve().parent
sys.path = [entry for entry in sys.path if pathlib.Path(entry).resolve() != HERE]

from sentence_transformers import SentenceTransformer, models

TEXTS = [
    "",
    "Hello, world!",
    "A cat sits on the mat.",
    "What is the capital of France?",
    "Paris is the capital and largest city of France.",
    "naïve café, Ångström, 100 % - it's 3.14!",
    "东京是日本的首都。",
    "line one\nline two\ttabbed   spaced",
    "emoji 🚀🎉 and ﬁ ligatures",
    "The transformer packs texts of unequal length. " * 12,
    "word " * 400,
]


def main():
    word = models.Transformer(sys.argv[1], max_seq_length=256)
    pooling = models.Pooling(384, pooling_mode="mean")
    model = SentenceTransformer(modules=[word, pooling, models.Normalize()], device="cpu")
    # One by one: no padding enters the reference.
    cases = []
    for text in TEXTS:
        vector = model.encode([text])[0]
        ids = model.tokenizer(text, truncation=True, max_length=256)["input_ids"]
        cases.append({"text": text, "ids": ids, "vector": [round(float(x), 7) for x in vector]})
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
