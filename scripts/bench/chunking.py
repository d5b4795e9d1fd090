#!/usr/bin/env python3
"""Segmentation and retrieval together, by the passages that come back. `make bench-retrieval` runs it.

Five corpora and 472 questions, each with the exact passages that answer it (brandonstarxel/
chunking_evaluation). Token-level recall, precision and intersection over union are those of that
evaluation, which counts characters: of the five best chunks, and of as many as fit into the same number of
characters, the last one cut. Ours are the passages of the real binary with the default settings; the
splitters are LangChain's recursive one at 200 and 400 tokens, as the evaluation sets it, with the same
embedder, ranked by vectors, and by vectors and bm25s together.

The data lies in ../shared/data; without it, this says so and ends.
"""

import csv
import json
import os
import statistics
import tempfile
from pathlib import Path

from peers import Vectors, words
from quality import DATA, need_data, serving
from retrieval import Application, Corpus, search

FOLDER = DATA / "chunking"
BEST = 5
LENGTHS = (1000, 2000, 4000)
DEPTH = 60
SEPARATORS = ["\n\n", "\n", ".", "?", "!", " ", ""]

Span = tuple[str, int, int]  # corpus, first character, character after the last


def score(spans: list[Span], corpus: str, references: list[tuple[int, int]]) -> tuple[float, ...]:
    """Recall, precision and IoU of what was retrieved."""
    wanted = {i for start, end in references for i in range(start, end)}
    mine = {i for name, start, end in spans if name == corpus for i in range(start, end)}
    total = sum(end - start for start, end in references)
    length = sum(end - start for _, start, end in spans)
    found = len(wanted & mine)
    return found / total, found / max(length, 1), found / (length + total - found)


def within(spans: list[Span], length: int) -> list[Span]:
    """The first spans, as many as fit into so many characters."""
    kept = []
    for name, start, end in spans:
        end = min(end, start + length)
        if end > start:
            kept.append((name, start, end))
        length -= end - start
    return kept


class Places:
    """Characters of a file by characters of a passage: loading changes white space only."""

    def __init__(self, text: str):
        self.text, self.solid = text, [i for i, c in enumerate(text) if not c.isspace()]
        self.squeezed = "".join(text.split())

    def of(self, passage: str, near: int) -> tuple[int, int]:
        wanted = "".join(passage.split())
        places, at = [], self.squeezed.find(wanted)
        while at >= 0:
            places.append(at)
            at = self.squeezed.find(wanted, at + 1)
        start = min(places, key=lambda at: abs(self.solid[at] - near))
        return self.solid[start], self.solid[start + len(wanted) - 1] + 1


def recursive(texts: dict[str, str], tokens: int) -> list[Span]:
    """Chunks of the recursive splitter, sized with the tokenizer that the evaluation uses."""
    import llama_index.core
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(llama_index.core.__file__).parent / "_static/tiktoken_cache")
    splitter = RecursiveCharacterTextSplitter.from_tiktoken_encoder(
        "cl100k_base", chunk_size=tokens, chunk_overlap=0, separators=SEPARATORS, keep_separator=True
    )
    spans = []
    for name, text in texts.items():
        at = 0
        for chunk in splitter.split_text(text):
            at = text.index(chunk, at)
            spans.append((name, at, at + len(chunk)))
            at += len(chunk)
    return spans


def rankings(chunks: list[Span], texts: dict[str, str], queries: list[str], vectors: Vectors) -> dict:
    """Chunks by vectors alone, and by scaled scores of vectors and bm25s together."""
    import bm25s
    import numpy as np

    bodies = [texts[name][start:end] for name, start, end in chunks]
    cosines = np.array(vectors.of(queries, "query")) @ np.array(vectors.of(bodies, "passage")).T
    index = bm25s.BM25()
    index.index([words(body, False) for body in bodies], show_progress=False)
    keywords = np.stack([index.get_scores(words(query, False)) for query in queries])
    floor = np.sort(cosines, axis=1)[:, -DEPTH, None]
    near = np.clip((cosines - floor) / (cosines.max(axis=1, keepdims=True) - floor), 0, None)
    hybrid = near + keywords / np.maximum(keywords.max(axis=1, keepdims=True), 1e-9)
    return {
        label: [[chunks[i] for i in row] for row in np.argsort(-scores, axis=1)[:, :DEPTH]]
        for label, scores in [("vectors", cosines), ("hybrid", hybrid)]
    }


def ours(answers: list[dict], texts: dict[str, str]) -> list[list[Span]]:
    """Passages of the server as places in the files."""
    places = {name: Places(text) for name, text in texts.items()}
    spans = []
    for answer in answers:
        names = [(Path(p["uri"]).stem, p) for p in answer["passages"]]
        spans.append([(name, *places[name].of(p["text"], p["start"])) for name, p in names])
    return spans


def row(label: str, rankings: list[list[Span]], questions: list[tuple]) -> str:
    """A row of the table."""

    def means(cut) -> list[float]:
        scores = [score(cut(spans), corpus, wanted) for spans, (_, corpus, wanted) in zip(rankings, questions)]
        return [statistics.fmean(column) for column in zip(*scores)]

    cells = means(lambda spans: spans[:BEST])
    for length in LENGTHS:
        recall, _, iou = means(lambda spans: within(spans, length))
        cells += [recall, iou]
    return f"| {label} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"


def main() -> None:
    need_data()
    questions = []
    with (FOLDER / "questions.csv").open() as file:
        for line in csv.DictReader(file):
            places = [(r["start_index"], r["end_index"]) for r in json.loads(line["references"])]
            questions.append((line["question"], line["corpus_id"], places))
    corpus = Corpus(chinese=False)
    for path in sorted(FOLDER.glob("*.md")):
        corpus.add(path.stem, path.read_text(), path.stem)
    texts, queries = corpus.documents, [query for query, _, _ in questions]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        Application(corpus, app)
        with serving(app) as url:
            answers, _ = search(url, queries)
            rows.append(row("**ours**", ours(answers, texts), questions))
            vectors = Vectors(url)
            for tokens in (200, 400):
                for label, ranking in rankings(recursive(texts, tokens), texts, queries, vectors).items():
                    rows.append(row(f"recursive {tokens}, {label}", ranking, questions))
    columns = "".join(f" recall@{n} | IoU@{n} |" for n in LENGTHS)
    print(f"\n| chunks | recall@5 | precision@5 | IoU@5 |{columns}")
    print(f"| --- |{' ---: |' * (3 + 2 * len(LENGTHS))}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
