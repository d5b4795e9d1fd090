#!/usr/bin/env python3
"""Searches of a base of a million chunks by a server, hybrid and filtered. `make bench-knowledge` runs it.

usage: scale.py [CHUNKS [QUERIES]]     (default: 1,000,000 chunks, 400 queries)

To embed a million passages takes hours, so the base is ingested with few documents and its store is filled with
copies of them: each copy has the text of its original with some words changed, and its original's vector turned a
little, of length 1 again. What is measured does not depend on what the vectors mean: time and memory of searches
that go through both indexes, with and without a filter, one after the other, over HTTP. The store is filled through
SQLite itself, the indexes are then built by `praxis knowledge rebuild`.
"""

import json
import math
import random
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quality import DATA, PRAXIS, need_data, post, start
from run import processor

MODEL = "all-minilm-l6-v2"
SEEDS = 1000


def application(root: Path) -> Path:
    app = root / "app"
    (app / "knowledge/docs").mkdir(parents=True)
    (app / "praxis.toml").write_text(f'[app]\nname = "scale"\n\n[defaults]\nembedding = "{MODEL}"\n')
    config = '[source]\npaths = ["docs"]\n\n[[metadata]]\nmatch = "**/*7.md"\nset = { part = "seven" }\n'
    (app / "knowledge/docs.toml").write_text(config)
    lines = (DATA / "cranfield-docs.jsonl").read_text(encoding="utf-8").splitlines()[:SEEDS]
    for i, line in enumerate(lines):
        (app / f"knowledge/docs/{i:04}.md").write_text(f"# Report {i}\n\n{json.loads(line)['text']}\n", encoding="utf-8")
    subprocess.run([PRAXIS, "--app", app, "--quiet", "ingest"], check=True)
    return app


def fill(app: Path, chunks: int) -> int:
    """Copies documents with their chunks until there are so many chunks; gives how many there are."""
    dice = random.Random(3)
    store = sqlite3.connect(next((app / ".praxis").glob("*.db")))
    store.execute("PRAGMA synchronous = OFF")
    names = [row[1] for row in store.execute("PRAGMA table_info(documents)")]
    of_chunk = [row[1] for row in store.execute("PRAGMA table_info(chunks)")]
    documents = store.execute(f"SELECT {', '.join(names)} FROM documents").fetchall()
    originals = [dict(zip(names, row)) for row in documents]
    parts: dict[str, list[dict]] = {}
    quoted = ", ".join(f'"{n}"' for n in of_chunk)
    for row in store.execute(f"SELECT {quoted} FROM chunks ORDER BY document, ordinal"):
        part = dict(zip(of_chunk, row))
        parts.setdefault(part["document"], []).append(part)
    words = sorted({w for part in parts.values() for c in part for w in c["text"].split() if len(w) > 4})
    have = sum(len(p) for p in parts.values())
    number = store.execute("SELECT MAX(number) FROM chunks").fetchone()[0]
    generation = store.execute("SELECT generation FROM bases").fetchone()[0]
    of_attribute = [row[1] for row in store.execute("PRAGMA table_info(attributes)")]
    # A document is known by its generation there.
    attributes: dict[int, list[dict]] = {}
    for row in store.execute(f"SELECT {', '.join(of_attribute)} FROM attributes"):
        entry = dict(zip(of_attribute, row))
        attributes.setdefault(entry["document"], []).append(entry)

    def turned(vector: bytes) -> bytes:
        values = struct.unpack(f"<{len(vector) // 4}f", vector)
        values = [v + dice.gauss(0, 0.02) for v in values]
        length = math.sqrt(math.fsum(v * v for v in values))
        return struct.pack(f"<{len(values)}f", *(v / length for v in values))

    def insert(table: str, row: dict) -> None:
        columns = ", ".join(f'"{n}"' for n in row)
        store.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})", list(row.values()))

    copy = 0
    while have < chunks:
        original = originals[copy % len(originals)]
        copy += 1
        id = f"{copy:024x}"
        generation += 1
        vector = original["vector"] and turned(original["vector"])
        uri = f"copy/{copy:07}.md"
        insert("documents", {**original, "id": id, "uri": uri, "vector": vector, "generation": generation})
        for entry in attributes.get(original["generation"], []):
            insert("attributes", {**entry, "document": generation})
        for part in parts.get(original["id"], []):
            number += 1
            text = part["text"].split(" ")
            for _ in range(4):
                text[dice.randrange(len(text))] = dice.choice(words)
            insert(
                "chunks",
                {**part, "id": f"c{number:023x}", "document": id, "number": number, "text": " ".join(text), "vector": turned(part["vector"])},
            )
            have += 1
        if copy % 2000 == 0:
            store.commit()
            print(f"  {have} chunks", file=sys.stderr)
    store.execute("UPDATE bases SET generation = ?", [generation])
    store.commit()
    store.close()
    return have


def peak(pid: int) -> float:
    """GiB that a process holds now, and not what the system keeps of its files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 2**20
    return 0.0


def main() -> None:
    need_data()
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    queries = [json.loads(line)["query"] for line in (DATA / "cranfield-queries-dev.jsonl").read_text().splitlines()]
    root = Path(tempfile.mkdtemp(prefix="praxis-scale-"))
    try:
        app = application(root)
        have = fill(app, chunks)
        begun = time.perf_counter()
        subprocess.run([PRAXIS, "--app", app, "--quiet", "knowledge", "rebuild"], check=True)
        built = time.perf_counter() - begun
        builder = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        server, url = start(app)
        rows = []
        try:
            address = f"{url}/praxis/v1/knowledge/docs/search"
            for name, more in [
                ("hybrid", {}),
                ("hybrid, one document in ten", {"filters": {"type": "eq", "key": "part", "value": "seven"}}),
            ]:
                times = []
                for i in range(count + 20):
                    body = {"query": f"{queries[i % len(queries)]}", "limit": 10, **more}
                    begun = time.perf_counter()
                    found = post(address, body)
                    times.append(time.perf_counter() - begun)
                    assert found["passages"], name
                times = sorted(times[20:])
                rows.append((name, times[len(times) // 2], times[int(len(times) * 0.99)]))
            held = peak(server.pid)
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(root)
    print(f"\n{processor()}; {have} chunks; indexes built in {built:.0f} s with {builder:.2f} GiB; server holds {held:.2f} GiB\n")
    print("| search | p50 | p99 |\n| --- | ---: | ---: |")
    for name, middle, late in rows:
        print(f"| {name} | {middle * 1000:.1f} ms | {late * 1000:.1f} ms |")


if __name__ == "__main__":
    main()
