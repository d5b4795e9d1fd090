#!/usr/bin/env python3
"""How well a chat model extracts a knowledge graph, and how near the names of one entity are, as Markdown
tables.

usage: graph.py [MODEL]     (default: qwen2.5-coder-1.5b-instruct)

Extraction: the sentences of graph.jsonl (English and Chinese, invented names, CC0) are documents of a base
whose graph has the vocabulary of their triples. `pair` counts a triple as right where both names are, whatever
the relation and its direction; `triple` wants all three. `praxis knowledge graph build` and `export` are asked,
so what is measured is what a user gets.

Names: graph_names.tsv has pairs of names that are one entity and pairs that are two though they look alike. The
table shows, for cosines of name and type, how many pairs of each would be merged by the vectors alone, and how
many after the rule against contradicting words and numbers (merge rules of crates/praxis-knowledge/src/graph/
resolve.rs are in the binary; here they are the same as far as these pairs go).
"""

import ast
import json
import re
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
from array import array
from pathlib import Path

from run import EMBEDDERS, RELEASE, SCRIPTS, processor

KINDS = ["person", "organization", "place", "work"]
RELATIONS = [
    "works_for", "founded", "located_in", "born_in", "wrote", "teacher_of", "part_of", "married_to", "studied_at",
]
# Said of both at once.
SYMMETRIC = {"married_to"}


def praxis(*args: object, cwd: Path) -> str:
    run = subprocess.run([str(RELEASE / "praxis"), *map(str, args)], capture_output=True, text=True, cwd=cwd)
    if run.returncode != 0:
        sys.exit(f"praxis {args[0]} {args[1]} failed:\n{run.stderr[-2000:]}")
    return run.stdout


def key(name: str) -> str:
    """A name as it is compared: no case, width, accents, punctuation or article."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).lower())
    plain = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return re.sub(r"\s", "", re.sub(r"^\s*(the|an?)\s+(?=\S)", "", plain))


def extract(model: str, sentences: list[dict]) -> tuple[dict, list[dict]]:
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        praxis("new", app, "--template", "blank", cwd=Path(folder))
        (app / "knowledge").mkdir(exist_ok=True)
        (app / "knowledge/docs.toml").write_text(
            f"[graph]\nenabled = true\nmodel = {json.dumps(model)}\nmax_triples = 6\n"
            f"entities = {json.dumps(KINDS)}\nrelations = {json.dumps(RELATIONS)}\n"
        )
        for number, sentence in enumerate(sentences):
            (app / f"knowledge/{number:03}.txt").write_text(sentence["text"] + "\n")
        praxis("ingest", cwd=app)
        started = time.monotonic()
        report = json.loads(praxis("knowledge", "graph", "build", "docs", "--json", cwd=app))
        report["seconds"] = time.monotonic() - started
        lines = praxis("knowledge", "graph", "export", "docs", cwd=app).splitlines()
        return report, [json.loads(line) for line in lines]


def score(sentences: list[dict], lines: list[dict]) -> dict[str, dict[str, list[int]]]:
    """By language and kind of match: right, found, wanted."""
    names = {line["entity"]: {key(n) for n in [line["name"], *line["aliases"]]} for line in lines if "entity" in line}
    found: dict[int, list[tuple]] = {}
    for line in lines:
        for place in line.get("provenance", []):
            triple = (names[line["subject"]], line["relation"], names[line["object"]])
            found.setdefault(int(place["uri"].split(".")[0]), []).append(triple)
    totals = {}
    for number, sentence in enumerate(sentences):
        wanted = [(key(s), relation, key(o)) for s, relation, o in sentence["triples"]]
        said = found.get(number, [])
        for kind in ["pair", "triple"]:
            def fits(claim: tuple, gold: tuple, kind: str = kind) -> bool:
                forth = gold[0] in claim[0] and gold[2] in claim[2]
                back = gold[0] in claim[2] and gold[2] in claim[0]
                if kind == "pair":
                    return forth or back
                return claim[1] == gold[1] and (forth or (back and gold[1] in SYMMETRIC))

            left = list(wanted)
            right = 0
            for claim in said:
                hit = next((gold for gold in left if fits(claim, gold)), None)
                if hit:
                    left.remove(hit)
                    right += 1
            counts = totals.setdefault(sentence["language"], {}).setdefault(kind, [0, 0, 0])
            for place, count in enumerate([right, len(said), len(wanted)]):
                counts[place] += count
    return totals


def vectors(path: Path) -> list[array]:
    data = path.read_bytes()
    (length,) = struct.unpack("<H", data[8:10])
    rows, columns = ast.literal_eval(data[10:10 + length].decode())["shape"]
    values = array("f")
    values.frombytes(data[10 + length:])
    return [values[row * columns:(row + 1) * columns] for row in range(rows)]


def contradict(one: str, other: str) -> bool:
    """As the binary has it, for names such as these."""
    def words(name: str) -> list[str]:
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).lower())
        plain = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
        found = plain.split()
        return found[1:] if len(found) > 1 and found[0] in ("the", "a", "an") else found

    def variant(a: str, b: str) -> bool:
        if re.search("[\u4e00-\u9fff]", a + b):
            return len(a) != len(b)
        long, short = (a, b) if len(a) >= len(b) else (b, a)
        begins = 0
        while begins < len(short) and long[begins] == short[begins]:
            begins += 1
        ends = 0
        while ends < len(short) - begins and long[-1 - ends] == short[-1 - ends]:
            ends += 1
        if len(long) >= 5 and len(long) - begins - ends <= 1:
            return True
        letters = iter(long)
        return begins > 0 and all(c in letters for c in short)

    a, b = words(one), words(other)
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return True
    return len(a) == len(b) and any(x != y and not variant(x, y) for x, y in zip(a, b))


def names() -> None:
    rows = [line.split("\t") for line in (SCRIPTS / "graph_names.tsv").read_text().splitlines()[1:]]
    print("\n| names, embedder | cosine | same, merged | of | two, merged | of | two, merged after the rule |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for embedder, _ in EMBEDDERS:
        with tempfile.TemporaryDirectory() as folder:
            texts, out = Path(folder) / "names.txt", Path(folder) / "names.npy"
            texts.write_text("".join(f"{one} ({kind})\n{other} ({kind})\n" for _, kind, one, other in rows))
            praxis("embed", "--data", texts, "--kind", "raw", "--model", embedder, "--out", out, cwd=Path(folder))
            all_vectors = vectors(out)
        pairs = zip(all_vectors[0::2], all_vectors[1::2])
        cosines = [sum(x * y for x, y in zip(one, other)) for one, other in pairs]
        for script, wanted in [("Chinese", True), ("other", False)]:
            of = [(row, c) for row, c in zip(rows, cosines) if bool(re.search("[\u4e00-\u9fff]", row[2])) == wanted]
            for least in [0.94, 0.96, 0.97, 0.98]:
                same = [c >= least for row, c in of if row[0] == "same"]
                two = [(row, c >= least) for row, c in of if row[0] == "diff"]
                after = sum(near and not contradict(row[2], row[3]) for row, near in two)
                print(
                    f"| {script}, {embedder} | {least} | {sum(same)} | {len(same)} "
                    f"| {sum(near for _, near in two)} | {len(two)} | {after} |"
                )


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b-instruct"
    sentences = [json.loads(line) for line in (SCRIPTS / "graph.jsonl").read_text().splitlines()]
    print(f"\n{processor()}; {len(sentences)} sentences of graph.jsonl\n")
    report, lines = extract(model, sentences)
    print(f"| {model} | match | precision | recall | F1 | right | found | wanted |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for language, kinds in score(sentences, lines).items():
        for kind, (right, found, wanted) in kinds.items():
            precision, recall = right / max(found, 1), right / max(wanted, 1)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            print(
                f"| {language} | {kind} | {precision:.2f} | {recall:.2f} | {f1:.2f} "
                f"| {right} | {found} | {wanted} |"
            )
    did = report["report"]
    print(
        f"\n{did['dropped']} triples dropped, {did['failed']} answers of no use, {did['usage']['input_tokens']} "
        f"tokens read and {did['usage']['output_tokens']} written in {report['seconds']:.0f} s"
    )
    names()


if __name__ == "__main__":
    main()
