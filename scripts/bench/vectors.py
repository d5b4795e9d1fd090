#!/usr/bin/env python3
"""Vector search beside hnswlib, faiss, usearch, hannoy and diskann on this machine. `bench-vectors.sh` runs it.

usage: vectors.py FOLDER SET COUNT [ENGINE...]

Searches `SET.COUNT.npy` of FOLDER (see vectors_data.py) for the 10 nearest of each query. Every engine
runs in a process of its own and says how long it built (both cores), how much memory it then holds, and
for each setting recall@10 and queries/s with one and with two threads, the best of five passes over all
queries. The table has, of each engine, the fastest setting that reaches a recall of 0.95 and of 0.99; faiss's
codes are tried with several numbers of results to compare exactly for each number of lists. Praxis and hannoy
build their index anew in a process of its own; another one opens and searches it. Peers in Python get all
queries in one call; Praxis, hannoy and diskann get them one by one. `filter` is a filter that lets every
hundredth id pass: the fastest setting with a recall of at least 0.995, or the best recall. An engine that
fails is a row that says so, and an error at the end.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from run import RELEASE, ROOT

# The engines that are crates; scripts/bench/vector-peers/src/main.rs says what it prints.
PEER = ROOT / "target/vector-peers/release/peer"
K, PASSES = 10, 5
ENGINES = [
    "praxis",
    "hnswlib",
    "faiss-hnsw",
    "faiss-ivfpqfs-sq8",
    "faiss-ivfpqfs-flat",
    "usearch-f32",
    "usearch-i8",
    "hannoy",
    "diskann-f32",
    "diskann-4bit",
    "brute-force",
]
# A recall beyond which no further setting is tried.
ENOUGH = 0.995
NOTES = """
Filters: hnswlib's is a Python function that is called for each candidate, which is all that its package
has; faiss's is a bitmap; usearch's package has none; hannoy's is a bitmap, on the way through the graph or one
by one; diskann's is a predicate on the way through the graph, which may also go two links at a time; brute-force's
vectors were copied together beforehand, which no filter of a search has. Memory: of praxis and hannoy all that a
process that searches holds, mapped files included (of praxis the vectors themselves are on the disk, of hannoy they
are in the mapped file); of the others what the index added to the process. hannoy's time to build ends when all
is on the disk.

What each lacks for a knowledge base: hnswlib, faiss and usearch save a file whole, and a crash loses what came since;
none of them checks its graph (usearch: issue 735). hannoy is as safe as LMDB, but what was inserted or deleted
counts only once the graph was built again, and committed before that, no search can begin; its filter is exact
only one by one. diskann's index in memory has a fixed size and cannot be saved; its filter is not exact; it can
count the nodes that are reachable (`unreachable` in its lines), but not name the others.
docs/decisions/0007-vectors.md has the decision.
"""


def truth(vectors: np.ndarray, queries: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Ids of the true K nearest among `ids`."""
    best, found = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int32)
    for start in range(0, len(ids), 50_000):
        part = ids[start : start + 50_000]
        scores = queries @ np.asarray(vectors[part]).T
        best = np.hstack([best, scores])
        found = np.hstack([found, np.broadcast_to(part.astype(np.int32), scores.shape)])
        order = np.argpartition(-best, K - 1, axis=1)[:, :K]
        best, found = np.take_along_axis(best, order, 1), np.take_along_axis(found, order, 1)
    return found


def memory() -> float:
    """Anonymous memory of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    right = sum(len(np.intersect1d(a, b)) for a, b in zip(found, expected))
    return right / expected.size


class Peer:
    """`build`, and `search(queries, setting, threads, filtered)` that returns ids.

    Settings come in rows, each from the fastest to the most careful one."""

    settings: list[list] = []
    filter_settings: list[list] = []


class Hnswlib(Peer):
    settings = [[10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 640, 1280]]
    filter_settings = [[10, 100, 1000, 4000]]

    def build(self, vectors):
        import hnswlib

        self.index = hnswlib.Index("ip", vectors.shape[1])
        self.index.init_index(len(vectors), M=16, ef_construction=200)
        self.index.add_items(vectors, num_threads=2)

    def search(self, queries, setting, threads, filtered):
        self.index.set_ef(setting)
        extra = {"filter": lambda id: id % 100 == 7} if filtered else {}
        return self.index.knn_query(queries, K, num_threads=threads, **extra)[0]


class Faiss(Peer):
    def build(self, vectors):
        import faiss

        faiss.omp_set_num_threads(2)
        self.faiss, self.ids = faiss, np.arange(len(vectors))
        bits = np.zeros((len(vectors) + 7) // 8, np.uint8)
        allowed = np.flatnonzero(np.arange(len(vectors)) % 100 == 7)
        np.bitwise_or.at(bits, allowed // 8, (1 << (allowed % 8)).astype(np.uint8))
        self.bits = bits
        self.selector = faiss.IDSelectorBitmap(bits)
        self.make(vectors)

    def search(self, queries, setting, threads, filtered):
        self.faiss.omp_set_num_threads(threads)
        params = self.params(setting, {"sel": self.selector} if filtered else {})
        return self.index.search(queries, K, params=params)[1]


class FaissHnsw(Faiss):
    settings = Hnswlib.settings
    filter_settings = Hnswlib.filter_settings

    def make(self, vectors):
        self.index = self.faiss.IndexHNSWFlat(vectors.shape[1], 16, self.faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(vectors)

    def params(self, setting, extra):
        return self.faiss.SearchParametersHNSW(efSearch=setting, **extra)


class FaissIvfPq(Faiss):
    """Half a byte for each two dimensions, and copies of the vectors to compare the best with: a setting is
    the number of lists, and how many times K are compared."""

    settings = [[(1 << power, factor) for power in range(10)] for factor in (2, 5, 10, 25, 60)]
    # All lists, in the end: few vectors pass the filter, and they are anywhere.
    filter_settings = [[(1 << power, factor) for power in range(4, 13)] for factor in (5, 25)]

    def __init__(self, copies):
        self.copies = copies

    def make(self, vectors):
        lists = 1 << max(4, (len(vectors) // 256).bit_length() - 1)
        spec = f"IVF{lists},PQ{vectors.shape[1] // 2}x4fs,{self.copies}"
        index = self.faiss.index_factory(vectors.shape[1], spec, self.faiss.METRIC_INNER_PRODUCT)
        sample = np.random.default_rng(1).choice(len(vectors), min(len(vectors), lists * 40), replace=False)
        index.train(np.asarray(vectors[np.sort(sample)]))
        index.add(vectors)
        self.index, self.most = index, lists

    def params(self, setting, extra):
        nprobe, factor = setting
        lists = self.faiss.SearchParametersIVF(nprobe=min(nprobe, self.most), **extra)
        return self.faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=lists)


class Usearch(Peer):
    settings = Hnswlib.settings

    def __init__(self, kind):
        self.kind = kind

    def build(self, vectors):
        from usearch.index import Index

        self.index = Index(
            ndim=vectors.shape[1], metric="ip", dtype=self.kind, connectivity=16, expansion_add=200
        )
        for start in range(0, len(vectors), 50_000):
            part = np.asarray(vectors[start : start + 50_000])
            self.index.add(np.arange(start, start + len(part)), part, threads=2)

    def search(self, queries, setting, threads, filtered):
        self.index.expansion_search = setting
        return self.index.search(queries, K, threads=threads).keys.astype(np.int64)


class BruteForce(Peer):
    """Products with all vectors that the filter lets pass, gathered beforehand."""

    settings = [[0]]
    filter_settings = [[0]]

    def build(self, vectors):
        self.vectors = np.asarray(vectors)
        self.allowed = np.flatnonzero(np.arange(len(vectors)) % 100 == 7)
        self.few = np.ascontiguousarray(self.vectors[self.allowed])

    def search(self, queries, setting, threads, filtered):
        from threadpoolctl import threadpool_limits

        found = np.empty((len(queries), K), np.int64)
        with threadpool_limits(threads):
            for i, query in enumerate(queries):
                scores = (self.few if filtered else self.vectors) @ query
                best = np.argpartition(-scores, K)[:K]
                found[i] = self.allowed[best] if filtered else best
        return found


PEERS = {
    "hnswlib": Hnswlib,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivfpqfs-sq8": lambda: FaissIvfPq("Refine(SQ8)"),
    "faiss-ivfpqfs-flat": lambda: FaissIvfPq("RFlat"),
    "usearch-f32": lambda: Usearch("f32"),
    "usearch-i8": lambda: Usearch("i8"),
    "brute-force": BruteForce,
}


def timed(peer: Peer, queries, expected, setting: int, threads: int, filtered: bool) -> dict:
    best, found = float("inf"), None
    for _ in range(PASSES):
        start = time.perf_counter()
        found = peer.search(queries, setting, threads, filtered)
        best = min(best, time.perf_counter() - start)
        if best > 5:
            break
    return {
        "filter": "1 %" if filtered else "none",
        "setting": setting,
        "threads": threads,
        "recall": recall(found, expected),
        "qps": len(queries) / best,
    }


def run_peer(folder: Path, name: str, count: int, engine: str) -> None:
    """In a process of its own: prints what `measured` reads."""
    vectors = np.load(folder / f"{name}.{count}.npy", mmap_mode="r")
    queries = np.load(folder / f"{name}.queries.npy")
    expected = [np.load(folder / f"{name}.{count}.{kind}.npy") for kind in ("truth", "truth1")]
    peer, before = PEERS[engine](), memory()
    start = time.perf_counter()
    peer.build(vectors)
    print(json.dumps({"build_s": time.perf_counter() - start, "memory_mb": memory() - before}), flush=True)
    few = (queries[:100], expected[1][:100])
    every = (queries, expected[0])
    if engine == "brute-force":
        every = (queries[:100], expected[0][:100])
    for threads in (1, 2):
        for settings in peer.settings:
            sweep(peer, *every, settings, threads, False)
    for settings in peer.filter_settings:
        sweep(peer, *few, settings, 1, True)


def sweep(peer: Peer, queries, expected, settings: list, threads: int, filtered: bool) -> None:
    """Prints a line for each setting, until one finds enough or no more than the one before."""
    before = -1.0
    for setting in settings:
        row = timed(peer, queries, expected, setting, threads, filtered)
        print(json.dumps(row), flush=True)
        if row["recall"] > ENOUGH or 0 < row["recall"] <= before:
            return
        before = row["recall"]


def run_binary(folder: Path, name: str, count: int, engine: str) -> list[dict]:
    """An engine that is no Python package, in processes that read the .npy files themselves."""
    vectors, index = folder / f"{name}.{count}.npy", folder / f"{name}.{count}.{engine}"
    asked = [folder / f"{name}.{part}.npy" for part in ("queries", f"{count}.truth", f"{count}.truth1")]
    bench = RELEASE / "examples/bench_vectors"
    # The second process opens what the first has built, so that its memory is that of searching.
    commands = {
        "praxis": [[bench, vectors, index], [bench, vectors, *asked, index]],
        "hannoy": [[PEER, "hannoy", "build", vectors, index], [PEER, "hannoy", "search", index, *asked]],
        "diskann-f32": [[PEER, "diskann", "f32", vectors, *asked]],
        "diskann-4bit": [[PEER, "diskann", "4bit", vectors, *asked]],
    }
    shutil.rmtree(index, ignore_errors=True)
    index.mkdir()
    return [line for command in commands[engine] for line in lines_of(command)]


def lines_of(command: list) -> list[dict]:
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def measured(folder: Path, name: str, count: int, engine: str) -> list[dict]:
    print("  ", name, count, engine, file=sys.stderr)
    if engine not in PEERS:
        return run_binary(folder, name, count, engine)
    return lines_of([sys.executable, __file__, "--peer", folder, name, str(count), engine])


def row(engine: str, lines: list[dict]) -> str:
    build = next((f"{line['build_s']:.0f}" for line in lines if "build_s" in line), "")
    memory_mb = [line.get("memory_mb", line.get("rss_mb")) for line in lines]
    cells = [engine, build, f"{[m for m in memory_mb if m][-1]:.0f}"]
    for threads in (1, 2):
        for least in (0.95, 0.99):
            fit = [x for x in lines if x.get("filter") == "none" and x["threads"] == threads]
            # A number of lists or the peer's own setting; recall targets are another table.
            fit = [x for x in fit if x["recall"] >= least and ("setting" in x or x["lists"])]
            best = max(fit, key=lambda x: x["qps"], default=None)
            cells.append(f"{best['qps']:.0f} ({best['recall']:.3f})" if best else "-")
    some = [x for x in lines if x.get("filter") == "1 %" and x["threads"] == 1]
    best = max(some, key=lambda x: (min(x["recall"], 0.995), x["qps"]), default=None)
    cells.append(f"{best['qps']:.0f} ({best['recall']:.3f})" if best else "-")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[0] == "--peer":
        run_peer(Path(arguments[1]), arguments[2], int(arguments[3]), arguments[4])
        return
    folder, name, count = Path(arguments[0]), arguments[1], int(arguments[2])
    if not (folder / f"{name}.{count}.truth1.npy").exists():
        vectors = np.load(folder / f"{name}.{count}.npy", mmap_mode="r")
        queries, ids = np.load(folder / f"{name}.queries.npy"), np.arange(count)
        np.save(folder / f"{name}.{count}.truth.npy", truth(vectors, queries, ids))
        np.save(folder / f"{name}.{count}.truth1.npy", truth(vectors, queries, ids[ids % 100 == 7]))
    print(f"\n{count} vectors of the set `{name}`\n")
    print("| engine | build s | MB | 1 thread, 0.95 | 0.99 | 2 threads, 0.95 | 0.99 | filter, 1 thread |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    targets, failed = [], []
    for engine in arguments[3:] or ENGINES:
        try:
            lines = measured(folder, name, count, engine)
        except subprocess.CalledProcessError as error:
            print(f"| {engine} | failed |{' |' * 6}", flush=True)
            failed.append(f"{engine} ended with {error.returncode}")
            continue
        (folder / f"{name}.{count}.{engine}.jsonl").write_text("\n".join(map(json.dumps, lines)))
        print(row(engine, lines), flush=True)
        if engine == "praxis":
            targets = [x for x in lines if x.get("filter") == "none" and not x["lists"]]
    print(NOTES)
    if targets:
        print_targets(targets)
    if failed:
        sys.exit("; ".join(failed))


def print_targets(targets: list[dict]) -> None:
    print("| recall that Praxis was asked for, after it learned from queries | found | queries/s | p50 ms |")
    print("| ---: | ---: | ---: | ---: |")
    for x in targets:
        print(f"| {x['target']} | {x['recall']:.3f} | {x['qps']:.0f} | {x['p50_ms']:.3f} |")


if __name__ == "__main__":
    main()
