#!/usr/bin/env python3
"""Searches of a base of a million chunks by a server, hybrid and filtered. `make bench-knowledge` runs it.

usage: scale.py [CHUNKS [QUESTIONS]]     (default: 1,000,000 chunks, 1,000 questions)

To embed a million passages takes hours, so the base is ingested with few documents and its store is filled
with copies of them: in each copy every eighth word or so is another one of the same length, in the document's
text as in its chunks, so that no two are alike to either keyword index; its vectors are its original's,
turned a little, of length 1 again. What is measured does not depend on what the vectors mean: time and memory
of searches that go through both indexes, one after the other, over HTTP. Each question is a real one and is
asked once of each kind of search; the first searches of a kind, which load what it needs, do not count. The
store is filled through SQLite itself, the indexes are then built by `praxis knowledge rebuild`. About 8 GB of
disk are needed for a million chunks, below target/.
"""

import json
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from quality import DATA, PRAXIS, ROOT, need_data, post, start
from run import processor
from vectors_data import DIMENSION, questions, unit

MODEL = "all-minilm-l6-v2"
SEEDS = 1000
WARM = 20  # searches of a kind that do not count
OTHER = 0.12  # share of words that a copy has others for
DISK = 8e9  # bytes for a million chunks
# What a search asks for beside its question. A filter's set of documents is kept from its first search on.
TENTH = {"filters": {"type": "eq", "key": "part", "value": "seven"}}
HUNDREDTH = {"filters": {"type": "eq", "key": "few", "value": True}}
SEARCHES = [
    ("hybrid", {}),
    ("hybrid, a filter that lets 10 % of the documents pass", TENTH),
    ("hybrid, a filter that lets 1 % of the documents pass", HUNDREDTH),
    ("documents", {"level": "document"}),
    ("documents, a filter that lets 10 % of them pass", {"level": "document", **TENTH}),
    ("documents, a filter that lets 1 % of them pass", {"level": "document", **HUNDREDTH}),
]
RULES = """
[[metadata]]
match = "**/*7.md"
set = { part = "seven" }

[[metadata]]
match = "**/*77.md"
set = { part = "seven", few = true }
"""


def application(root: Path) -> Path:
    app = root / "app"
    (app / "knowledge/docs").mkdir(parents=True)
    (app / "praxis.toml").write_text(f'[app]\nname = "scale"\n\n[defaults]\nembedding = "{MODEL}"\n')
    (app / "knowledge/docs.toml").write_text(f'[source]\npaths = ["docs"]\n{RULES}')
    lines = (DATA / "cranfield-docs.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines if (text := json.loads(line)["text"].strip())][:SEEDS]
    for i, text in enumerate(texts):
        (app / f"knowledge/docs/{i:04}.md").write_text(f"# Report {i}\n\n{text}\n", encoding="utf-8")
    subprocess.run([PRAXIS, "--app", app, "--quiet", "ingest"], check=True)
    return app


class Words:
    """Other words of the same length, so that places of chunks in a text stay what they are."""

    def __init__(self, texts: list[str]):
        self.dice, self.of_length = random.Random(3), {}
        for word in sorted({word for text in texts for word in re.findall(r"[a-z]{4,}", text)}):
            self.of_length.setdefault(len(word), []).append(word)

    def change(self, text: str) -> str:
        def other(match: re.Match) -> str:
            if self.dice.random() > OTHER:
                return match[0]
            return self.dice.choice(self.of_length[len(match[0])])

        return re.sub(r"\b[a-z]{4,}\b", other, text)


def rows(store: sqlite3.Connection, table: str, order: str) -> list[dict]:
    names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
    columns = ", ".join(f'"{name}"' for name in names)
    found = store.execute(f"SELECT {columns} FROM {table} ORDER BY {order}")
    return [dict(zip(names, row, strict=True)) for row in found]


def insert(store: sqlite3.Connection, table: str, row: dict) -> None:
    columns, values = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    store.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", list(row.values()))


def turned(vectors: list[bytes], dice: np.random.Generator) -> list[bytes]:
    values = np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), DIMENSION)
    noise = dice.standard_normal(values.shape, np.float32) * 0.02
    return [row.tobytes() for row in unit(values + noise).astype("<f4")]


def fill(app: Path, chunks: int) -> tuple[int, int]:
    """Copies documents with their chunks until there are so many chunks; gives how many there are of both."""
    dice = np.random.default_rng(3)
    store = sqlite3.connect(next((app / ".praxis").glob("*.db")))
    store.execute("PRAGMA synchronous = OFF")
    originals = rows(store, "documents", "generation")
    parts: dict[str, list[dict]] = {}
    for part in rows(store, "chunks", "document, ordinal"):
        parts.setdefault(part["document"], []).append(part)
    # A document is known by its generation there.
    attributes: dict[int, list[dict]] = {}
    for entry in rows(store, "attributes", "document"):
        attributes.setdefault(entry["document"], []).append(entry)
    for document in originals:
        for part in parts.get(document["id"], []):
            at = slice(part["start"], part["end"])
            assert document["text"][at] == part["text"], "a chunk is not where it says"
    words = Words([document["text"] for document in originals])
    have, documents = sum(map(len, parts.values())), len(originals)
    number = store.execute("SELECT MAX(number) FROM chunks").fetchone()[0]
    generation = store.execute("SELECT generation FROM bases").fetchone()[0]
    copy = 0
    while have < chunks:
        original = originals[copy % len(originals)]
        own = parts.get(original["id"], [])
        copy += 1
        generation += 1
        id, text = f"{copy:024x}", words.change(original["text"])
        vector, *vectors = turned([original["vector"], *(part["vector"] for part in own)], dice)
        known = {"id": id, "uri": f"copy/{copy:07}.md", "text": text, "vector": vector}
        insert(store, "documents", {**original, **known, "generation": generation})
        for entry in attributes.get(original["generation"], []):
            insert(store, "attributes", {**entry, "document": generation})
        for part, vector in zip(own, vectors, strict=True):
            number += 1
            known = {"id": f"c{number:023x}", "document": id, "number": number, "vector": vector}
            insert(store, "chunks", {**part, **known, "text": text[part["start"] : part["end"]]})
        have += len(own)
        documents += 1
        if copy % 20_000 == 0:
            store.commit()
            print(f"  {have} chunks", file=sys.stderr)
    store.execute("UPDATE bases SET generation = ?", [generation])
    store.commit()
    store.close()
    return documents, have


def need_segments(app: Path, chunks: int) -> None:
    """Fails unless most vectors are in segments: what is in none is compared one by one, and the times would
    be those of an index that is not built yet."""
    files = list((app / ".praxis/index/docs/vectors").glob("*/*.vectors"))
    there = sum(file.stat().st_size for file in files) // (DIMENSION * 4)
    if there < 0.9 * chunks:
        sys.exit(f"{there} of {chunks} vectors are in {len(files)} segments: the index was not merged")


def memory(pid: int) -> dict[str, float]:
    """GiB of a process: what it holds by itself (RssAnon), that and the pages of mapped files that the system
    can drop (VmRSS), and the most that this ever was (VmHWM)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    wanted = {"RssAnon:", "VmRSS:", "VmHWM:"}
    return {line[0].rstrip(":"): int(line[1]) / 2**20 for line in lines if line and line[0] in wanted}


def times(address: str, name: str, more: dict, warm: list[str], asked: list[str]) -> list[float]:
    taken = []
    for question in warm + asked:
        begun = time.perf_counter()
        found = post(address, {"query": question, "limit": 10, **more})
        taken.append(time.perf_counter() - begun)
        assert found.get("passages") or found.get("documents"), f"{name}: nothing is found for {question!r}"
    return sorted(taken[len(warm) :])


def main() -> None:
    need_data()
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    all_questions = questions()
    warm, asked = all_questions[:WARM], all_questions[WARM : WARM + count]
    (ROOT / "target").mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="scale-", dir=ROOT / "target"))
    found = []
    try:
        free, needed = shutil.disk_usage(root).free, DISK * chunks / 1e6
        if free < needed:
            sys.exit(f"{needed / 1e9:.0f} GB are needed below {root.parent}, {free / 1e9:.0f} GB are free")
        app = application(root)
        documents, have = fill(app, chunks)
        begun = time.perf_counter()
        subprocess.run([PRAXIS, "--app", app, "--quiet", "knowledge", "rebuild"], check=True)
        built = time.perf_counter() - begun
        builder = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        need_segments(app, have)
        server, url = start(app)
        try:
            address = f"{url}/praxis/v1/knowledge/docs/search"
            for name, more in SEARCHES:
                print("  ", name, file=sys.stderr)
                found.append((name, times(address, name, more, warm, asked)))
            held = memory(server.pid)
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(root)
    print(f"\n{processor()}; {documents} documents, {have} chunks; {len(asked)} questions, each once\n")
    print(f"Indexes built in {built:.0f} s, with at most {builder:.2f} GiB resident, mapped files included.")
    print(
        f"The server holds {held['RssAnon']:.2f} GiB (RssAnon); with mapped files {held['VmRSS']:.2f} GiB"
        f" (VmRSS), {held['VmHWM']:.2f} GiB at most (VmHWM).\n"
    )
    print("| search | p50 | p99 |\n| --- | ---: | ---: |")
    for name, taken in found:
        middle, late = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        print(f"| {name} | {middle * 1000:.1f} ms | {late * 1000:.1f} ms |")


if __name__ == "__main__":
    main()
