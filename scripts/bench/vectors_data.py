#!/usr/bin/env python3
"""Vectors to measure with, as .npy files of single precision and unit length. `bench-vectors.sh` runs it.

usage: vectors_data.py COUNT FOLDER

FOLDER gets, unless they are there, for each of two sets `NAME.COUNT.npy` and `NAME.queries.npy`. Without
../shared there is no set `text`, and this says so.

text      Embeddings (all-MiniLM-L6-v2) of pieces of the texts in ../shared/data, one to four sentences
          long: some 20,000. There are no millions of texts there, so the set is filled up: a vector is
          a random point between a piece and one of its 10 nearest, plus noise of a quarter of its
          length. Where no more vectors are asked for than there are pieces, all are pieces. Queries are
          embeddings of real questions, none of which is in the set.
mixture   Points around 2,000 random centres, with components whose deviations fall with the power -0.6
          of their number, turned at random; queries come from the same distribution.
"""

import csv
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from quality import DATA, need_data
from run import RELEASE, model_path

MODEL, DIMENSION, PIECES, QUERIES = "all-minilm-l6-v2", 384, 20_000, 1_000


def jsonl(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def xquad(name: str) -> tuple[list[str], list[str]]:
    articles = json.loads((DATA / name).read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [qa["question"] for paragraph in paragraphs for qa in paragraph["qas"]]
    return [paragraph["context"] for paragraph in paragraphs], questions


def questions() -> list[str]:
    """All real questions there are, shuffled, always in the same order."""
    asked = xquad("xquad-en-dev.json")[1]
    asked += [row["query"] for row in jsonl("cranfield-queries-dev.jsonl")]
    with (DATA / "chunking/questions.csv").open(encoding="utf-8") as file:
        asked += [row["question"] for row in csv.DictReader(file)]
    asked = sorted(set(asked))
    random.Random(5).shuffle(asked)
    return asked


def texts() -> list[str]:
    """Pieces of the texts there are."""
    documents = xquad("xquad-en-dev.json")[0]
    documents += [row["text"] for row in jsonl("cranfield-docs.jsonl")]
    documents += [path.read_text(encoding="utf-8") for path in sorted((DATA / "chunking").glob("*.md"))]
    documents += [row["question"] + " " + row["answer"] for row in jsonl("gsm8k-train-1000.jsonl")]
    dice, pieces = random.Random(5), set()
    for document in documents:
        sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", document) if len(s.strip()) > 20]
        for at in range(len(sentences)):
            piece = " ".join(sentences[at : at + dice.randint(1, 4)])
            pieces.add(piece[:1500])
    pieces = sorted(pieces)
    dice.shuffle(pieces)
    return pieces[:PIECES]


def embed(lines: list[str]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.json", Path(folder) / "vectors"
        source.write_text(json.dumps(lines))
        command = [RELEASE / "examples/bench_embed", model_path(MODEL), source, "1", "256", target]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return unit(np.fromfile(target, np.float32).reshape(len(lines), -1))


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fill_up(real: np.ndarray, count: int) -> np.ndarray:
    if count <= len(real):
        return real[:count]
    dice = np.random.default_rng(7)
    near = np.empty((len(real), 10), np.int64)
    for start in range(0, len(real), 1000):
        scores = real[start : start + 1000] @ real.T
        near[start : start + 1000] = np.argpartition(-scores, 11, axis=1)[:, 1:11]
    made = np.empty((count, real.shape[1]), np.float32)
    made[: len(real)] = real
    for start in range(len(real), count, 50_000):
        size = min(50_000, count - start)
        at = dice.integers(0, len(real), size)
        other = near[at, dice.integers(0, 10, size)]
        share = dice.random((size, 1), np.float32)
        noise = dice.standard_normal((size, real.shape[1]), np.float32) * (0.25 / real.shape[1] ** 0.5)
        made[start : start + size] = unit(real[at] * (1 - share) + real[other] * share + noise)
    return made


def mixture(count: int, seed: int) -> np.ndarray:
    dice = np.random.default_rng(11)
    spread = (np.arange(1, DIMENSION + 1) ** -0.6).astype(np.float32)
    turn = np.linalg.qr(dice.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
    centres = dice.standard_normal((2000, DIMENSION), np.float32)
    dice = np.random.default_rng(seed)
    made = np.empty((count, DIMENSION), np.float32)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        points = dice.standard_normal((size, DIMENSION), np.float32)
        points += centres[dice.integers(0, len(centres), size)]
        made[start : start + size] = unit((points * spread) @ turn)
    return made


def main() -> None:
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mixture.queries.npy").exists():
        np.save(folder / "mixture.queries.npy", mixture(QUERIES, 13))
    if not (folder / f"mixture.{count}.npy").exists():
        np.save(folder / f"mixture.{count}.npy", mixture(count, 12))
    need_data()
    pieces, queries = folder / "text.pieces.npy", folder / "text.queries.npy"
    if not pieces.exists() or not queries.exists():
        lines, asked = texts(), questions()[:QUERIES]
        print(f"embedding {len(lines)} pieces and {len(asked)} questions", file=sys.stderr)
        np.save(pieces, embed(lines))
        np.save(queries, embed(asked))
    if not (folder / f"text.{count}.npy").exists():
        np.save(folder / f"text.{count}.npy", fill_up(np.load(pieces), count))


if __name__ == "__main__":
    main()
